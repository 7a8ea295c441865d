"""How much more two cores do than one of them: what the throughput of two workers has to be seen against.

    python -m tests.benchmarks.cores [--model MODEL --structures STORE]

Processes that share nothing do the same work, each on a core of its own: products of matrices that fit the cache,
copies of arrays that do not, and evaluations of a model on batches that are there already. One process alone and one on
every core take turns, so that what else the machine does meets both. `ratio` compares the best rates by the clock,
`ratio by processor time` what a piece of work costs: the second does not see time that others had the cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

STRUCTURES = 400
"""Structures that a model is timed with."""


@dataclass(frozen=True)
class Load:
    """What is done: `in cache`, `in memory`, or a model with a store of structures.

    `atoms` fill a batch; `relaxing` computes as relaxations do, in float64 with tables.
    """

    kind: str
    model: Path | None = None
    store: Path | None = None
    atoms: int | None = None
    relaxing: bool = False


def piece(load: Load) -> Callable[[], object]:
    """A piece of the work, some tens of milliseconds long."""
    if load.kind == "in cache":
        square = torch.rand(160, 160)
        return lambda: [square @ square for _ in range(100)]
    if load.kind == "in memory":
        source, target = torch.rand(2, 16_000_000)
        return lambda: target.copy_(source)
    return _evaluations(load)


def _evaluations(load: Load) -> Callable[[], object]:
    from eqcli.engine.model_file import load_model
    from eqcli.engine.predictor import Predictor
    from eqcli.engine.tabulated import tabulate
    from eqcli.graph.atom_graph import batch_graphs
    from eqcli.models.potentials.derive import evaluate
    from tests.benchmarks.stream_throughput import batches

    assert load.model is not None
    assert load.store is not None
    model = load_model(load.model, dtype=torch.float64 if load.relaxing else None)
    if load.relaxing:
        tabulate(model.potential)
    predictor = Predictor(model, batch_atoms=load.atoms)
    ready = [batch_graphs(graphs) for graphs in batches(predictor, load.store, STRUCTURES)]
    return lambda: [evaluate(predictor.potential, batch, stress=bool(batch.pbc.all())) for batch in ready]


def _serve(load: Load, core: int, pipe: Connection) -> None:
    """Works for as many seconds as it is told, and says how often it did the piece and in how much time."""
    with suppress(AttributeError):
        os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    work = piece(load)
    work()
    pipe.send(None)
    while (seconds := pipe.recv()) is not None:
        begin, processor, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - begin < seconds:
            work()
            count += 1
        pipe.send((count / (time.perf_counter() - begin), (time.process_time() - processor) / count))


def measured(load: Load, seconds: float = 2.0, rounds: int = 4) -> dict[str, float]:
    """What all cores do over what one does, by the clock and by processor time; pieces per second of one and of all."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    pipes, processes = [], []
    for core in cores:
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(load, core, there), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    alone, together = [], []
    for _ in range(rounds):
        alone += [_turn([pipe], seconds) for pipe in pipes]
        together.append(_turn(pipes, seconds))
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(None)
        process.join()
    one, every = max(rate for rate, _ in alone), max(rate for rate, _ in together)
    cost, costs = min(cost for _, cost in alone), min(cost for _, cost in together)
    return {
        "ratio": round(every / one, 3),
        "ratio by processor time": round(len(cores) * cost / costs, 3),
        "one": one,
        "all": every,
    }


def _turn(pipes: list[Connection], seconds: float) -> tuple[float, float]:
    """The rate of some processes together, and their mean processor time for a piece."""
    for pipe in pipes:
        pipe.send(seconds)
    found = [pipe.recv() for pipe in pipes]
    return sum(rate for rate, _ in found), sum(cost for _, cost in found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--batch-atoms", type=int)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    loads = [Load("in cache"), Load("in memory")]
    if given.model is not None and given.structures is not None:
        loads += [
            Load(kind, given.model, given.structures, given.batch_atoms, relaxing=kind == "relaxing")
            for kind in ("model", "relaxing")
        ]
    for load in loads:
        print(json.dumps({"load": load.kind, **measured(load, given.seconds, given.rounds)}), flush=True)


if __name__ == "__main__":
    main()
