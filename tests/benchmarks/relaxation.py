"""Crystals of mixed sizes relaxed with their cells: in batches, by one process and by several, and singly by ASE.

    python tests/benchmarks/relaxation.py MODEL --count 200 --threads 2

The same command is run three times on the same file, as a process of its own: with one process, as it is (with workers
where that pays), and with `--one-by-one`. Times are those of whole processes, loading included. MODEL is a potential
for Al, Ni, Cu, Pd, Ag, Pt and Au, such as `alloy_model.py` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqcli.io import read_structures, write_structures
from tests.benchmarks.mixed_crystals import mixed_crystals

SAME_MINIMUM = 1e-3
"""eV per atom: two relaxations that end further apart found different minima."""


def run(model: Path, crystals: Path, output: Path, options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """One relaxation as a process; its result, with `wall` seconds and the `energies` per atom by structure."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads))
    command = [sys.executable, "-m", "eqcli", "relax", str(model), str(crystals), "-o", str(output), "--json", "--cell",
               "full", "--fmax", str(options.fmax), "--smax", str(options.smax), "--steps", str(options.steps),
               "--optimizer", options.optimizer, *more]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
    wall = time.perf_counter() - began
    if done.returncode not in (0, 3, 4):
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    energies = {int(s.info["number"]): s.energy / len(s) for s in read_structures(output) if s.energy is not None}
    steps = sum(row["steps"] for row in found["structures"])
    return {"wall": wall, "energies": energies, "steps": steps, "converged": found["converged"],
            "failures": len(found["failures"])}  # fmt: skip


def compared(batched: dict[str, Any], single: dict[str, Any]) -> dict[str, Any]:
    """Ratio of the times and differences of the energies of structures that both ended with."""
    both = sorted(batched["energies"].keys() & single["energies"].keys())
    apart = np.abs([batched["energies"][k] - single["energies"][k] for k in both])
    return {
        "speedup": single["wall"] / batched["wall"],
        "compared": len(both),
        "median_difference_meV_per_atom": 1e3 * float(np.median(apart)),
        "largest_difference_meV_per_atom": 1e3 * float(apart.max()),
        "further_than_1_meV_per_atom": int((apart > SAME_MINIMUM).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fmax", type=float, default=0.01)
    parser.add_argument("--smax", type=float, default=1e-4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--optimizer", default="fire")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crystals = mixed_crystals(options.count)
        for number, structure in enumerate(crystals):
            structure.info["number"] = number
        source = Path(folder) / "crystals.h5"
        write_structures(source, crystals)
        batched = run(options.model, source, Path(folder) / "batched.h5", options, "--workers", "1")
        print(json.dumps({k: v for k, v in batched.items() if k != "energies"}), flush=True)
        shared = run(options.model, source, Path(folder) / "shared.h5", options)
        print(json.dumps({k: v for k, v in shared.items() if k != "energies"}), flush=True)
        single = run(options.model, source, Path(folder) / "single.h5", options, "--one-by-one", "--workers", "1")
        print(json.dumps({k: v for k, v in single.items() if k != "energies"}), flush=True)
        print(json.dumps({"one process": compared(batched, single), "default": compared(shared, single)}, indent=2))


if __name__ == "__main__":
    main()
