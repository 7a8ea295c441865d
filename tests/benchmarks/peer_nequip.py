"""Runs in an environment with nequip: times its default network on given structures.

    VENV/bin/python tests/benchmarks/peer_nequip.py time CONFIG.json

CONFIG: frames, task (`train` or `predict`), threads, repeats and the arguments of the network.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import torch
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state


def batch_of(job: dict[str, Any], symbols: list[str], cutoff: float) -> dict[str, torch.Tensor]:
    neighbours = NeighborListTransform(r_max=cutoff)
    types = ChemicalSpeciesToAtomTypeMapper(symbols)
    frames = [neighbours(types(from_ase(atoms))) for atoms in ase.io.read(job["frames"], ":")]
    return AtomicDataDict.batched_from_list(frames)


def main(job: dict[str, Any]) -> dict[str, float]:
    set_global_state()
    torch.set_num_threads(job["threads"])
    symbols = sorted({symbol for atoms in ase.io.read(job["frames"], ":") for symbol in atoms.symbols})
    config = job["config"]
    batch = batch_of(job, symbols, config["r_max"])
    edges, atoms = batch["edge_index"].shape[1], batch["pos"].shape[0]
    model = NequIPGNNModel(seed=0, model_dtype="float32", type_names=symbols, avg_num_neighbors=edges / atoms, **config)
    training = job["task"] == "train"
    model.train(training)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, amsgrad=True)

    def step() -> None:
        out = model({key: value.clone() for key, value in batch.items()})
        if not training:
            return
        optimizer.zero_grad()
        loss = (out["total_energy"] ** 2).mean() + 100 * (out["forces"] ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()

    if not training:
        model.requires_grad_(False)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for _ in range(2):
        step()
    times = []
    for _ in range(job["repeats"]):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - base
    parameters = sum(p.numel() for p in model.parameters())
    return {"seconds": statistics.median(times), "peak_MB": peak, "edges": edges, "parameters": parameters}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[2]).read_text()))))
