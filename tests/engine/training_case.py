"""A small data set and recipe that training tests share, and a function that trains on them in a process of its own.

The labels come from the toy potential with other parameters than those it starts
with, so that there is something to learn and the answer is known.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqcli.graph.atom_graph import build_graph
from eqcli.io import DatasetWriter
from eqcli.io.structure import Structure
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from eqcli.recipe.schema import TrainRecipe
from tests.toy import ToyConfig, ToyPotential

ISOLATED = {1: -13.0, 6: -1000.0, 8: -2000.0}
TRUTH = {"depth": 0.6, "width": 1.2, "distance": 1.4}
BASE = np.array([[0.0, 0, 0], [1.2, 0, 0], [0, 1.3, 0], [0, 0, 1.4], [1.1, 1.2, 0.3]])


def register_toy() -> None:
    """Makes the toy potential one of the known ones, for recipes and model files."""
    POTENTIALS["toy"] = ("tests.toy", "ToyPotential", ToyConfig)


def labelled(numbers: list[int], positions: np.ndarray, cell: float | None = None, **info: Any) -> Structure:
    """A structure with energy, forces and (in a cube of side `cell` Å) stress of the true potential."""
    truth = ToyPotential(elements=sorted(ISOLATED)).double()
    with torch.no_grad():
        for name, value in TRUTH.items():
            getattr(truth, name).fill_(value)
    truth.reference_energies.copy_(torch.tensor([ISOLATED[z] for z in sorted(ISOLATED)]))
    box, pbc = np.eye(3) * (cell or 0.0), np.full(3, cell is not None)
    graph = build_graph(np.array(numbers), positions, box, pbc, truth.cutoff)
    found = evaluate(truth, graph, forces=True, stress=cell is not None)
    return Structure(
        numbers=np.array(numbers),
        positions=positions,
        cell=box,
        pbc=pbc,
        energy=float(found["energy"]),
        forces=found["forces"].numpy(),
        stress=found["stress"][0].numpy() if cell is not None else None,
        info=info,
    )


def molecules(count: int, seed: int = 0) -> list[Structure]:
    """Distorted molecules of three to five atoms of H, C and O."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        n = int(random.integers(3, 6))
        numbers = [int(z) for z in random.choice([1, 6, 8], n)]
        made.append(labelled(numbers, BASE[:n] + random.normal(0, 0.08, (n, 3))))
    return made


def isolated_atoms() -> list[Structure]:
    """One frame per element."""
    return [labelled([z], np.zeros((1, 3)), config_type="IsolatedAtom") for z in ISOLATED]


def write(path: Path, structures: list[Structure]) -> Path:
    with DatasetWriter(path, overwrite=True) as writer:
        for structure in structures:
            writer.append(structure)
    return path


def make_recipe(train: Path, *, model: Any = None, **changes: Any) -> TrainRecipe:
    """A recipe for the toy potential; `changes` are sections that replace keys of these."""
    sections: dict[str, Any] = {
        "data": {"train": str(train), "split": {"valid": 8, "test": 4}},
        "loss": {"energy": 1, "forces": 10},
        "training": {
            "max_epochs": 4,
            "batch": {"structures": 3},
            "optimizer": {"lr": 0.02},
            "schedule": {"name": "cosine", "warmup_steps": 3},
            "ema": 0.9,
        },
    }
    for name, change in changes.items():
        sections[name] = {**sections.get(name, {}), **change} if isinstance(change, dict) else change
    recipe = TrainRecipe.model_validate({"name": "case", "model": {"name": "mace"}, **sections})
    return recipe.model_copy(update={"model": model or ToyConfig()})


def run(data: Path, output: Path, changes: dict[str, Any]) -> None:
    """Trains in a process of its own, going on with what is there; ends with 130 when it was interrupted."""
    from eqcli.tasks.train import train

    torch.set_num_threads(1)
    register_toy()
    try:
        train(make_recipe(data, **changes), output, device="cpu", resume=True)
    except KeyboardInterrupt:
        sys.exit(130)
