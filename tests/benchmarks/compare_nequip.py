"""Time of every potential's recipe for small machines against NequIP, on the same structures and threads.

    python -m venv .venv-nequip && .venv-nequip/bin/pip install nequip==0.19.1
    .venv/bin/python tests/benchmarks/compare_nequip.py [--threads 1] [--rounds 2] [-o table.md]

NequIP has four layers of 32 features with l_max 1 (its default) and 2. The networks differ, and so do their errors:
this is a comparison of what people run, not of one function. All run in processes of their own, by turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare_mace import CASES, HERE, Case, measure, write_frames

from eqcli.recipe.load import load_train_recipe

PEER = HERE.parents[1] / ".venv-nequip" / "bin" / "python"
RECIPES = HERE.parents[1] / "recipes" / "potentials"
OWN = ("mace", "tensornet", "egnn", "faenet", "escn", "equiformer-v2")
DEGREES = (1, 2)


def programs() -> dict[str, dict[str, Any]]:
    """Name -> hyper-parameters; those of NequIP have no `name`."""
    found: dict[str, dict[str, Any]] = {}
    for name in OWN:
        # Of a cube of silicon all frames would be 512: what is timed is FAENet with one.
        one = ["model.frames={mode: stochastic, inference: one}"] if name == "faenet" else []
        found[name] = load_train_recipe(RECIPES / f"{name}-ethanol.yaml", one).model.model_dump(mode="json")
    for degree in DEGREES:
        found[f"NequIP, l = {degree}"] = {"r_max": 5.0, "num_layers": 4, "l_max": degree, "num_features": 32}
    return found


def compare(case: Case, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of each program, the median over the rounds."""
    runs: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, config in programs().items():
            job = folder / "job.json"
            job.write_text(
                json.dumps({
                    "config": config, "frames": str(folder / f"{case.frames}.extxyz"), "task": case.task,
                    "threads": options.threads, "device": "cpu", "repeats": case.repeats,
                })
            )  # fmt: skip
            if "name" in config:
                done = measure(sys.executable, "own_potential.py", job, options.threads)
            else:
                done = measure(str(options.peer), "peer_nequip.py", job, options.threads, "time")
            runs.setdefault(name, []).append(1e3 * done["seconds"])
    return {name: statistics.median(times) for name, times in runs.items()}


def table(rows: list[tuple[Case, dict[str, float]]]) -> str:
    names = list(rows[0][1])
    lines = [f"| case (ms) | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for case, times in rows:
        lines.append(f"| {case.title} | {' | '.join(f'{times[name]:.1f}' for name in names)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=PEER)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_frames(folder)
        for case in CASES:
            rows.append((case, compare(case, folder, options)))
            print(case.title, {k: round(v, 1) for k, v in rows[-1][1].items()}, flush=True)
    text = table(rows)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
