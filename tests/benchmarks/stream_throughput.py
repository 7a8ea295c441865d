"""Speed and memory of `eqcli predict` from a store to a store, against the model alone.

    python -m tests.benchmarks.stream_throughput MODEL [--structures 100000] [--workers 1] [--folder FOLDER]

Crystals of 20 atoms are written to a store and predicted in a process of its own. The model alone is the same model in
this process on the same batches, whose graphs are built beforehand, and in one process for each core. Bars: memory
under 2 GB above that of a prediction of 100 structures, throughput within 15 % of the model alone, however that is
fastest. The figures depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from eqcli.engine.model_file import load_model
from eqcli.engine.on_cores import evaluate_on_cores
from eqcli.engine.predictor import Predictor
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.io import DatasetFile, DatasetWriter
from tests.benchmarks.cores import STRUCTURES as CORES_STRUCTURES
from tests.benchmarks.cores import Load, measured
from tests.benchmarks.following import Followed, follow
from tests.benchmarks.mixed_crystals import mixed_crystals

ATOMS = 20
KINDS = 100
BLOCK = 2000
FEW = 100
BARE = 2000
"""Structures that the model alone is timed with."""


def write_store(path: Path, count: int) -> None:
    """`count` crystals of 20 atoms: supercells, rattled by 0.08 Å, each a function of its number."""
    kinds = mixed_crystals(KINDS, least=ATOMS, most=ATOMS, rattle=0.0)
    with DatasetWriter(path, overwrite=True) as writer:
        for start in range(0, count, BLOCK):
            numbers = range(start, min(start + BLOCK, count))
            some = [kinds[k % KINDS] for k in numbers]
            rng = np.random.default_rng(start)
            positions = np.concatenate([s.positions for s in some])
            writer.append_many(
                np.full(len(some), ATOMS),
                np.concatenate([s.numbers for s in some]),
                positions + 0.08 * rng.normal(size=positions.shape),
                cell=np.stack([s.cell for s in some]),
                pbc=np.ones((len(some), 3)),
            )


def predict(model: Path, source: Path, output: Path, workers: str, count: int) -> tuple[dict[str, object], Followed]:
    """What `eqcli predict` says of `count` structures, and what was seen of it."""
    command = [sys.executable, "-m", "eqcli", "predict", str(model), str(source), "-o", str(output), "--json", "-q"]
    command += ["--workers", workers]
    with tempfile.TemporaryFile() as said:
        followed = follow(subprocess.Popen(command, stdout=said), output, count)
        said.seek(0)
        return json.loads(said.read()), followed


def batches(predictor: Predictor, source: Path, count: int) -> Iterator[list[AtomGraph]]:
    """The graphs of the first structures, as they are put together by the command."""
    waiting: list[AtomGraph] = []
    atoms = edges = 0
    with DatasetFile(source) as file:
        for structure in file.frames(0, min(count, len(file))):
            assert not isinstance(structure, Exception)
            graph = build_graph(
                structure.numbers, structure.positions, structure.cell, structure.pbc, predictor.potential.cutoff
            )
            size = int(graph.edge_index.shape[1])
            if waiting and not predictor.budget.admits(atoms + graph.num_nodes, edges + size):
                yield waiting
                waiting, atoms, edges = [], 0, 0
            waiting.append(graph)
            atoms, edges = atoms + graph.num_nodes, edges + size
    if waiting:
        yield waiting


def bare(model: Path, source: Path) -> tuple[float, float, float]:
    """Structures/s of the model on batches that are there, seconds per structure of graphs, structures in a batch."""
    predictor = Predictor(load_model(model))
    begin = time.perf_counter()
    ready = list(batches(predictor, source, BARE))
    building = time.perf_counter() - begin
    whole = [batch_graphs(graphs).to(predictor.device) for graphs in ready]
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        for batch in whole:
            evaluate_on_cores(predictor.potential, batch, stress=True)
        if predictor.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    count = sum(len(graphs) for graphs in ready)
    return count / min(seconds), building / count, count / len(ready)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", type=Path)
    parser.add_argument("--structures", type=int, default=100_000)
    parser.add_argument("--workers", default="1", help="a number, or auto")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        write_store(folder / "few.h5", FEW)
        write_store(folder / "many.h5", given.structures)
        alone, building, together = bare(given.model, folder / "many.h5")
        _, few = predict(given.model, folder / "few.h5", folder / "few-out.h5", "1", FEW)
        told, found = predict(given.model, folder / "many.h5", folder / "many-out.h5", given.workers, given.structures)
        again = bare(given.model, folder / "many.h5")[0]
        apart = measured(Load("model", given.model, folder / "many.h5"))
        assert len(DatasetFile(folder / "many-out.h5")) == given.structures
    print(f"structures            {given.structures} of {ATOMS} atoms, {together:.0f} in a batch")
    whole, cores = given.structures / float(str(told["seconds"])), CORES_STRUCTURES * apart["all"]
    best = max(alone, again, cores)
    print(f"model alone           {alone:.1f} structures/s before, {again:.1f} after, in one process")
    print(f"a process for a core  {cores:.1f} structures/s, {apart['ratio']} times one core")
    print(f"graphs                {1e3 * building:.3f} ms per structure, read from the store")
    print(f"eqcli predict         {whole:.1f} structures/s, {found.seconds:.1f} s in all, on {told['device']}")
    print(f"of the model alone    {100 * whole / best:.1f} %, of the fastest of these")
    if found.rate:
        print(f"first to last results {found.rate:.1f} structures/s, {100 * found.rate / best:.1f} %")
        print(f"processor time        {1e3 * (found.workers + found.coordinator):.3f} ms per structure then")
    most, more = found.memory / 1e6, (found.memory - few.memory) / 1e6
    print(f"memory                {most:.0f} MB in the largest process, {more:.0f} MB above that of {FEW} structures")


if __name__ == "__main__":
    main()
