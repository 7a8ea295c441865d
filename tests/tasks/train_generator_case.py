"""A small data set of crystals, a recipe for it, and a training in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqcli.io import write_structures
from eqcli.io.structure import Structure
from eqcli.recipe.generators import GeneratorRecipe
from tests.generator_case import NETWORKS

PLACES = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])


def crystals(count: int, seed: int = 0) -> list[Structure]:
    """Cells of the caesium chloride type of Li or Na with F or Cl, a few hundredths off; energies per atom."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        numbers = np.array([random.choice([3, 11]), random.choice([9, 17])])
        side = 2.6 + 0.02 * numbers.sum()
        cell = side * (np.eye(3) + random.normal(0, 0.01, (3, 3)))
        places = (PLACES + random.normal(0, 0.01, (2, 3)) + random.uniform(size=3)) @ cell
        energy = -0.1 * float(numbers.sum())
        made.append(Structure(numbers, places, cell, np.ones(3, dtype=bool), energy=energy, info={"gap": side}))
    return made


def write(path: Path, structures: list[Structure]) -> Path:
    write_structures(path, structures)
    return path


def make_recipe(train: Path, **changes: Any) -> GeneratorRecipe:
    """A recipe; `changes` are sections that replace keys of these."""
    sections: dict[str, Any] = {
        "data": {"train": str(train), "split": {"valid": 0.2, "test": 0.1}},
        "model": {"name": "flowmm", "denoiser": NETWORKS["cspnet"]},
        "training": {
            "max_epochs": 4,
            "batch": {"structures": 8},
            "optimizer": {"lr": 0.01},
            "schedule": {"name": "cosine", "warmup_steps": 3},
            "ema": 0.9,
        },
    }
    for name, change in changes.items():
        sections[name] = {**sections.get(name, {}), **change} if isinstance(change, dict) else change
    return GeneratorRecipe.model_validate({"family": "generators", "name": "case", **sections})


def run(data: Path, output: Path, changes: dict[str, Any]) -> None:
    """Trains, going on with what is there; ends with 130 when it was interrupted."""
    from eqcli.tasks.train import train

    torch.set_num_threads(1)
    try:
        train(make_recipe(data, **changes), output, device="cpu", resume=True)
    except KeyboardInterrupt:
        sys.exit(130)
