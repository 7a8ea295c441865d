"""Time and memory of TensorNet against torchmd-net's, with the same hyper-parameters, batches and threads.

    make peers
    .venv/bin/python tests/benchmarks/compare_tensornet.py [--threads 1] [--device cpu] [--rounds 3] [-o table.md]

All run in processes of their own, by turns, so that they see the same machine; each figure is the median over the
rounds of medians over repeats. Torchmd-net runs with its kernels of warp and with its plain ones. Neighbours are given
to both: no search is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path

from compare_mace import CASES, HERE, Case, measure, write_frames

PEER = HERE.parents[1] / ".venv-tensornet" / "bin" / "python"
CONFIG = {"cutoff": 5.0, "channels": 128, "num_layers": 2, "num_radial_basis": 32}
PROGRAMS = ("eqcli", "warp", "plain")


def compare(case: Case, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds and MB of each program."""
    job = {
        "config": CONFIG, "frames": str(folder / f"{case.frames}.extxyz"), "task": case.task,
        "threads": options.threads, "device": options.device, "repeats": case.repeats,
    }  # fmt: skip
    runs: dict[str, list[dict]] = {name: [] for name in PROGRAMS}
    for _ in range(options.rounds):
        for name in PROGRAMS:
            path = folder / f"{name}.json"
            path.write_text(json.dumps({**job, "warp": name == "warp"}))
            if name == "eqcli":
                runs[name].append(measure(sys.executable, "own_tensornet.py", path, options.threads))
            else:
                runs[name].append(measure(str(options.peer), "peer_tensornet.py", path, options.threads, "time"))
    found = {f"{name} ms": 1e3 * statistics.median(r["seconds"] for r in done) for name, done in runs.items()}
    return found | {f"{name} MB": statistics.median(r["peak_MB"] for r in done) for name, done in runs.items()}


def table(rows: list[tuple[Case, dict[str, float]]]) -> str:
    lines = [
        "| case | eqcli | torchmd-net, warp | torchmd-net, plain | times faster than warp | than plain "
        "| peak memory eqcli | warp | plain |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, r in rows:
        times = [f"{r[f'{name} ms']:.1f} ms" for name in PROGRAMS]
        ratios = [f"{r[f'{name} ms'] / r['eqcli ms']:.1f}" for name in PROGRAMS[1:]]
        memory = [f"{r[f'{name} MB']:.0f} MB" for name in PROGRAMS]
        lines.append(f"| {' | '.join([case.title, *times, *ratios, *memory])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, default=PEER, help="Python of an environment with torchmd-net.")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if not options.peer.exists():
        sys.exit("no environment with torchmd-net: run `make peers` first")
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder))
        rows = [(case, compare(case, Path(folder), options)) for case in CASES]
    text = f"{platform.machine()}, {options.device}, {options.threads} threads, float32\n\n{table(rows)}\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
