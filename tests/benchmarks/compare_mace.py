"""Time and memory of MACE against mace-torch, with the same hyper-parameters, batches and threads.

    make peers
    .venv/bin/python tests/benchmarks/compare_mace.py [--threads 1] [--device cpu] [--rounds 3] [-o table.md]

The two run in processes of their own, by turns, so that both see the same machine;
each figure is the median over the rounds of medians over repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ase.build
import ase.io

HERE = Path(__file__).resolve().parent
PEER = HERE.parents[1] / ".venv-peers" / "bin" / "python"

CONFIG = {
    "cutoff": 5.0, "channels": 64, "max_L": 1, "max_ell": 3, "correlation": 3, "num_interactions": 2,
    "num_radial_basis": 8, "num_cutoff_basis": 5, "radial_type": "bessel", "distance_transform": "none",
    "radial_MLP": [64, 64, 64], "MLP_irreps": "16x0e", "interaction_first": "residual", "interaction": "residual",
    "zbl": None,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    title: str
    frames: str
    task: str
    repeats: int


CASES = (
    Case("training step, 10 ethanol molecules", "ethanol", "train", 15),
    Case("energy and forces, 10 ethanol molecules", "ethanol", "predict", 20),
    Case("training step, 512 silicon atoms", "silicon", "train", 3),
    Case("energy and forces, 512 silicon atoms", "silicon", "predict", 5),
)


def write_frames(folder: Path) -> None:
    ethanol = ase.build.molecule("CH3CH2OH")
    frames = []
    for seed in range(10):
        moved = ethanol.copy()
        moved.rattle(0.05, seed=seed)
        frames.append(moved)
    ase.io.write(folder / "ethanol.extxyz", frames)
    silicon = ase.build.bulk("Si", cubic=True) * (4, 4, 4)
    silicon.rattle(0.05, seed=0)
    ase.io.write(folder / "silicon.extxyz", silicon)


def measure(python: str, script: str, job: Path, threads: int, *arguments: str) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [python, str(HERE / script), *arguments, str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(case: Case, folder: Path, options: argparse.Namespace) -> dict:
    job = folder / "job.json"
    job.write_text(json.dumps({
        "config": CONFIG, "frames": str(folder / f"{case.frames}.extxyz"), "task": case.task,
        "threads": options.threads, "device": options.device, "repeats": case.repeats,
    }))  # fmt: skip
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(measure(sys.executable, "own_mace.py", job, options.threads))
        theirs.append(measure(str(PEER), "peer_mace.py", job, options.threads, "time"))
    row = {"case": case.title, "edges": ours[0]["edges"]}
    for name, runs in (("eqcli", ours), ("mace-torch", theirs)):
        row[f"{name} ms"] = 1e3 * statistics.median(r["seconds"] for r in runs)
        row[f"{name} MB"] = statistics.median(r["peak_MB"] for r in runs)
    row["times faster"] = row["mace-torch ms"] / row["eqcli ms"]
    row["memory ratio"] = row["eqcli MB"] / row["mace-torch MB"]
    return row


def table(rows: list[dict]) -> str:
    lines = [
        "| case | eqcli | mace-torch | times faster | peak memory eqcli | mace-torch |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['case']} | {r['eqcli ms']:.1f} ms | {r['mace-torch ms']:.1f} ms | {r['times faster']:.1f} "
            f"| {r['eqcli MB']:.0f} MB | {r['mace-torch MB']:.0f} MB |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if not PEER.exists():
        sys.exit("no environment with mace-torch: run `make peers` first")
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder))
        rows = [compare(case, Path(folder), options) for case in CASES]
    text = f"{platform.machine()}, {options.device}, {options.threads} threads, float32\n\n{table(rows)}\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
