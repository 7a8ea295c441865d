"""The same measurement as `peer_mace.py time`, of eqcli's MACE.

python tests/benchmarks/own_mace.py CONFIG.json
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from eqcli.engine.model_file import make_potential
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.io import read_structures
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import MACEConfig, TensorNetConfig
from eqcli.models.potentials.derive import evaluate


def median_seconds(action: Callable[[], None], repeats: int, warmup: int = 2) -> float:
    for _ in range(warmup):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def training_step(model: Potential, graph: AtomGraph, wait: Callable[[], None]) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, amsgrad=True)

    def action() -> None:
        optimizer.zero_grad()
        out = evaluate(model, graph, training=True)
        loss = (out["energy"] ** 2).mean() + 100 * (out["forces"] ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        wait()

    return action


def prediction(model: Potential, graph: AtomGraph, wait: Callable[[], None]) -> Callable[[], None]:
    model.eval().requires_grad_(False)

    def action() -> None:
        evaluate(model, graph)
        wait()

    return action


def time_potential(config: MACEConfig | TensorNetConfig, job: dict) -> dict:
    """Median seconds of one task (`train` or `predict`) and the peak memory of this process in MB."""
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    frames = list(read_structures(Path(job["frames"])))
    graphs = [build_graph(f.numbers, f.positions, f.cell, f.pbc, config.cutoff) for f in frames]
    graph = batch_graphs(graphs).to(job["device"])
    elements = sorted({int(z) for f in frames for z in f.numbers})
    model = make_potential(config, elements).to(device=job["device"], dtype=torch.float32)
    model.initialise(Statistics(graph.edge_index.shape[1] / graph.num_nodes, 0.0, 0.8))
    wait = torch.cuda.synchronize if job["device"] == "cuda" else lambda: None
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    make = training_step if job["task"] == "train" else prediction
    seconds = median_seconds(make(model, graph, wait), job["repeats"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if job["device"] == "cuda":
        base, peak = 0.0, torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": seconds, "peak_MB": peak - base, "edges": int(graph.edge_index.shape[1])}


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(time_potential(MACEConfig.model_validate(job["config"]), job)))
