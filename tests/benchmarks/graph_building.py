"""How fast graphs are built, one by one and together, and what kept neighbour lists save in dynamics.

    python tests/benchmarks/graph_building.py [MODEL]

Crystals of 20 atoms with a cutoff of 5 Å and molecules of 9 atoms, on one thread; times are those of the processor, so
that other work on the machine does not count. With a model: milliseconds of lists and of the model at each step of 30
structures whose atoms move by about 0.01 Å a step, by the skin of the lists.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqcli.engine.batched.field import Field
from eqcli.engine.batched.state import from_structure, join
from eqcli.engine.model_file import load_model
from eqcli.graph.atom_graph import batch_graphs, build_graph
from eqcli.graph.many import build_batch
from eqcli.io.structure import Structure

CUTOFF = 5.0


def crystal(rng: np.random.Generator, elements: list[int], atoms: int = 20) -> Structure:
    """Atoms about a grid, 16 Å^3 for each."""
    side = round(atoms ** (1 / 3) + 0.5)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[rng.permutation(side**3)[:atoms]] / side
    cell = (16.0 * atoms) ** (1 / 3) * np.eye(3) + rng.normal(size=(3, 3)) * 0.2
    return Structure(rng.choice(elements, atoms), grid @ cell + rng.normal(size=(atoms, 3)) * 0.1, cell, True)


def molecule(rng: np.random.Generator) -> Structure:
    return Structure(rng.choice([1, 6, 8], 9), rng.normal(size=(9, 3)) * 1.5)


def seconds(work: Callable[[], Any], repeats: int = 10) -> float:
    """The shortest of several times."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def rates(structures: list[Structure]) -> dict[str, float]:
    """Structures a second."""

    def slowly() -> None:
        batch_graphs([build_graph(s.numbers, s.positions, s.cell, s.pbc, CUTOFF) for s in structures])

    n = len(structures)
    return {
        "one_by_one": n / seconds(slowly),
        "together": n / seconds(lambda: build_batch(structures, CUTOFF)),
    }


def steps(path: Path, skin: float, count: int = 20) -> dict[str, float]:
    """Milliseconds of lists and of the model at a step, and lists made."""
    potential = load_model(path, device=torch.device("cpu")).potential.double().requires_grad_(False)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    elements = [int(z) for z in potential.elements]
    state = join([from_structure(crystal(rng, elements), k) for k in range(30)])
    field = Field(potential, skin=skin, stress=True)
    field.evaluate(state)
    before, spent = field.rebuilds, [0.0, 0.0]
    for _ in range(count):
        noise = torch.randn(state.positions.shape, generator=generator, dtype=torch.float64)
        state = state.with_(positions=state.positions + 0.01 * noise)
        start = time.process_time()
        field.edges(state)
        listed = time.process_time()
        field.evaluate(state)
        spent = [spent[0] + listed - start, spent[1] + time.process_time() - listed]
    return {
        "lists_ms": 1e3 * spent[0] / count,
        "model_ms": 1e3 * spent[1] / count,
        "lists_made_per_step": (field.rebuilds - before) / count,
    }


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {
        "crystals_20": rates([crystal(rng, [29, 79]) for _ in range(50)]),
        "molecules_9": rates([molecule(rng) for _ in range(100)]),
    }
    if len(sys.argv) > 1:
        found["steps_by_skin"] = {skin: steps(Path(sys.argv[1]), skin) for skin in (0.0, 0.5, 1.0, 1.5)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
