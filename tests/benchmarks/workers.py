"""How much more two local workers do than one, and that nothing is lost with one that is killed.

    python tests/benchmarks/workers.py MODEL INPUT [--kind predict relax] [--structures N]

Every run is a command of its own with one thread for each worker. The throughput is that of the workers from the first
results to the last, so that the starts of processes and of torch do not count; whole times are shown beside it. Chunks
hold up to a thousand structures, and structures should fill several of them for each worker. On a machine that others
use too, times say little: the ratio on idle cores is that of the processor time that workers need for a structure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from eqcli.io import DatasetFile, DatasetWriter, read_structures
from eqcli.tasks.stream.heartbeat import read_beats

OPTIONS = {"predict": ("--batch-atoms", "400"), "relax": ("--fmax", "0.05", "--steps", "60", "--batch-atoms", "400")}
KINDS = tuple(OPTIONS)


@dataclass
class Run:
    """One command: its whole time, the time of its workers, their processor time for a structure, and its output."""

    output: Path
    seconds: float
    working: float
    processor: float
    killed: int | None = None


def run(kind: str, model: str, store: Path, output: Path, workers: int, *, kill: bool = False) -> Run:
    """Gives the command, and kills one of its workers half way if asked."""
    command = [sys.executable, "-m", "eqcli", kind, model, str(store), "-o", str(output), *OPTIONS[kind]]
    command += ["--cluster", str(_cluster(output, workers)), "--quiet"]
    total = _length(store)
    begin = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    folder = output.with_name(f"{output.name}.work")
    first: tuple[float, int, float] | None = None
    last, killed = (begin, 0, 0.0), None
    while process.poll() is None:
        beats = [beat for beat in read_beats(folder) if beat.items] if folder.is_dir() else []
        done = sum(beat.items for beat in beats)
        if beats and first is None:
            first = (time.monotonic(), done, _processor([beat.pid for beat in beats]))
        if beats and done < total:
            last = (time.monotonic(), done, _processor([beat.pid for beat in beats]))
        if kill and killed is None and done > total // 2:
            killed = beats[0].pid
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.1)
    if process.returncode not in (0, 4):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    if first is None or last[1] <= first[1]:
        raise SystemExit("the work was over before it could be measured; take more structures")
    share = last[1] - first[1]
    working = (last[0] - first[0]) * total / share
    return Run(output, time.monotonic() - begin, working, (last[2] - first[2]) / share, killed)


def _processor(pids: list[int]) -> float:
    """Seconds of processor time of some processes so far."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _cluster(output: Path, workers: int) -> Path:
    path = output.with_suffix(".yaml")
    path.write_text(f"task: cluster\nscheduler: local\nworkers: {workers}\ncores: 1\n")
    return path


def _length(store: Path) -> int:
    with DatasetFile(store) as file:
        return len(file)


def same(one: Path, other: Path) -> bool:
    """Whether two datasets hold the same columns, to the last bit."""
    with DatasetFile(one) as a, DatasetFile(other) as b:
        if len(a) != len(b):
            return False
        columns, others = a.raw(0, len(a)), b.raw(0, len(b))
    return columns.keys() == others.keys() and all(
        values.tobytes() == others[name].tobytes() for name, values in columns.items()
    )


def enlarged(source: Path, count: int, folder: Path) -> Path:
    """A dataset of `count` structures, those of `source` again and again."""
    target = folder / "input.h5"
    with DatasetWriter(target) as writer:
        for structure in islice(cycle(list(read_structures(source))), count):
            writer.append(structure)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("input", type=Path)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--structures", type=int, default=8192)
    given = parser.parse_args()
    figures = []
    for kind in given.kind:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store = enlarged(given.input, given.structures, folder)
            one = run(kind, given.model, store, folder / "one.h5", 1)
            two = run(kind, given.model, store, folder / "two.h5", 2)
            hurt = run(kind, given.model, store, folder / "hurt.h5", 2, kill=True)
            figures.append(
                {
                    "kind": kind,
                    "structures": given.structures,
                    "one worker, structures/s": round(given.structures / one.working, 1),
                    "two workers, structures/s": round(given.structures / two.working, 1),
                    "ratio": round(one.working / two.working, 2),
                    "ratio of whole times": round(one.seconds / two.seconds, 2),
                    "processor ms a structure": [round(1e3 * each.processor, 3) for each in (one, two)],
                    "ratio on idle cores": round(2 * one.processor / two.processor, 2),
                    "seconds": [round(each.seconds, 1) for each in (one, two, hurt)],
                    "two equal one": same(one.output, two.output),
                    "killed": hurt.killed is not None,
                    "killed equals one": same(one.output, hurt.output),
                }
            )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
