"""Memory of batches, predicted and measured, and throughput against the size of a batch.

    python -m tests.benchmarks.batch_size model.safetensors structures.extxyz [model structures ...] --threads 1

Batches of growing size are made of the structures and evaluated with forces (and stress where there are periods).
Each size runs in a process of its own, so that what an allocator kept of one batch is no part of another. The memory
is what the largest resident size has beyond that of the loaded model; on a CUDA device it is torch's own count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

SIZES = (32, 128, 512, 1024, 2048, 4096, 8192, 16384)
"""Atoms."""


def one_size(model: Path, data: Path, atoms: int, device: str, seconds: float) -> dict[str, Any]:
    """Peak memory of the first batch of so many atoms, and the median time of more of them."""
    import torch

    from eqcli.engine.batching import BatchBudget
    from eqcli.engine.peak_memory import peak_memory
    from eqcli.graph.atom_graph import batch_graphs, build_graph
    from eqcli.io import read_structures
    from eqcli.models.potentials.derive import evaluate
    from eqcli.tasks.inference import load_for_inference

    potential = load_for_inference(model, device, None).potential
    structures = list(islice(read_structures(data), 64))
    graphs: list[Any] = []
    total = 0
    made = [build_graph(s.numbers, s.positions, s.cell, s.pbc, potential.cutoff) for s in structures]
    for graph in cycle(made):
        if graphs and total + graph.num_nodes > atoms:
            break
        graphs.append(graph)
        total += graph.num_nodes
    place = next(potential.parameters()).device
    batch = batch_graphs(graphs).to(place)
    stress = bool(batch.pbc.all(dim=1).any())
    # Whatever the first call of anything takes is no part of a batch.
    evaluate(potential, made[0].to(place), stress=stress)
    edges = int(batch.edge_index.shape[1])
    with peak_memory(place) as peak:
        evaluate(potential, batch, stress=stress)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begun < seconds and len(times) < 50):
        start = time.perf_counter()
        evaluate(potential, batch, stress=stress)
        if place.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return {
        "atoms": total,
        "edges": edges,
        "structures": len(graphs),
        "peak_mb": (peak.bytes or 0) / 1e6,
        "estimate_mb": BatchBudget(potential).model.estimate(total, edges) / 1e6,
        "atoms_per_second": total / statistics.median(times),
    }


def learned(model: Path, rows: list[dict[str, Any]], device: str) -> None:
    """Adds what a model learned from all smaller batches would have said of each."""
    from eqcli.engine.batching import BatchBudget
    from eqcli.tasks.inference import load_for_inference

    budget = BatchBudget(load_for_inference(model, device, None).potential)
    for row in rows:
        row["predicted_mb"] = budget.model.needs(row["atoms"], row["edges"]) / 1e6
        budget.model.observe(row["atoms"], row["edges"], row["peak_mb"] * 1e6)


def in_own_process(arguments: argparse.Namespace, model: str, data: str, atoms: int) -> dict[str, Any] | None:
    """One size, measured by a fresh process; None when it ended without a result."""
    command = [sys.executable, "-m", "tests.benchmarks.batch_size", model, data, "--size", str(atoms)]
    command += ["--device", arguments.device, "--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main() -> None:
    """Prints a table for each model, and JSON where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="model structures [model structures ...]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="spent on each size")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.size:
        import torch

        torch.set_num_threads(arguments.threads)
        model, data = map(Path, arguments.files)
        print(json.dumps(one_size(model, data, arguments.size, arguments.device, arguments.seconds)))
        return
    found: dict[str, Any] = {}
    for model, data in zip(arguments.files[::2], arguments.files[1::2], strict=True):
        rows = [row for n in arguments.sizes if (row := in_own_process(arguments, model, data, n)) is not None]
        learned(Path(model), rows, arguments.device)
        found[model] = rows
        heads = ("atoms", "edges", "estimate MB", "predicted MB", "measured MB", "atoms/s")
        print(f"\n{model}\n" + "".join(f"{head:>14}" for head in heads))
        for r in rows:
            figures = [r[name] for name in ("estimate_mb", "predicted_mb", "peak_mb")]
            text = "".join(f"{value:14.1f}" for value in figures)
            print(f"{r['atoms']:14d}{r['edges']:14d}{text}{r['atoms_per_second']:14.0f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
