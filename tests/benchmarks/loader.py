"""How fast batches for a training are made, beside how fast the model takes them.

    python tests/benchmarks/loader.py MODEL --frames 2000 --atoms 20

The loader reads frames in random order from a store and makes their neighbour lists, with nothing kept in memory;
the model takes optimisation steps (energies, forces, gradients of the weights) on batches that are there already.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqcli.data.graphs import GraphDataset, GraphLoader
from eqcli.engine.device import choose_device
from eqcli.engine.model_file import load_model
from eqcli.graph.atom_graph import AtomGraph
from eqcli.io.store_writer import DatasetWriter
from eqcli.models.potentials.base import Potential
from eqcli.models.potentials.derive import evaluate
from tests.benchmarks.mixed_crystals import mixed_crystals


def store(path: Path, frames: int, atoms: int) -> None:
    """A store of labelled crystals of one size."""
    with DatasetWriter(path) as writer:
        for structure in mixed_crystals(frames, least=atoms, most=atoms):
            structure.energy, structure.forces = 0.0, np.zeros((len(structure), 3))
            writer.append(structure)


def loaded_per_second(loader: GraphLoader, frames: int) -> float:
    """Frames per second, the start of the workers left out."""
    batches = iter(loader)
    size = next(batches).n_structures
    began = time.perf_counter()
    for _ in batches:
        pass
    return (frames - size) / (time.perf_counter() - began)


def trained_per_second(potential: Potential, batches: list[AtomGraph], seconds: float = 10.0) -> float:
    """Frames per second of optimisation steps on a loss of energies and forces."""
    device = next(potential.parameters()).device
    graphs = [batch.to(device) for batch in batches]
    optimizer = torch.optim.Adam(potential.parameters(), lr=1e-6)
    began, done, number = 0.0, 0, 0
    while not began or time.perf_counter() - began < seconds:
        graph = graphs[number % len(graphs)]
        found = evaluate(potential, graph, training=True)
        loss = (found["energy"] ** 2).mean() + (found["forces"] ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        number += 1
        if number == 3:  # the first steps choose kernels
            _wait(device)
            began = time.perf_counter()
        elif number > 3:
            done += graph.n_structures
    _wait(device)
    return done / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--atoms", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    potential = load_model(options.model, device=choose_device("auto"), dtype=torch.float32).potential
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.h5"
        store(path, options.frames, options.atoms)
        order = np.random.default_rng(0).permutation(options.frames).tolist()
        batches = [order[i : i + options.batch] for i in range(0, options.frames, options.batch)]
        dataset = GraphDataset(path, np.arange(options.frames), potential.cutoff, keep=False)
        rates = {n: loaded_per_second(GraphLoader(dataset, batches, n), options.frames) for n in options.workers}
        model = trained_per_second(potential, [dataset.__getitems__(batch) for batch in batches[:20]])
    found = {"cores": len(os.sched_getaffinity(0)), "threads": torch.get_num_threads(),
             "device": str(next(potential.parameters()).device), "loaded per second, by workers": rates,
             "trained per second": model}  # fmt: skip
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
