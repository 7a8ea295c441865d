"""How much more two local workers do than one, and that nothing is lost with one that is killed.

    python -m tests.benchmarks.workers MODEL INPUT [--kind predict relax] [--structures N]

Every run is a command of its own with one thread for each worker. The throughput is that of the workers from the first
results to the last, so that the starts of processes and of torch do not count; whole times are shown beside it. On a
machine that others use too, times say little: the ratio on idle cores is that of the processor time that workers and
coordinator need for a structure. Two processes that share nothing but the machine are the measure of both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from eqcli.io import DatasetFile, DatasetWriter, read_structures
from eqcli.tasks.stream.heartbeat import Beat
from tests.benchmarks.cores import Load, measured
from tests.benchmarks.following import Followed, follow

BATCH_ATOMS = 400
OPTIONS = {
    "predict": ("--batch-atoms", str(BATCH_ATOMS)),
    "relax": ("--fmax", "0.05", "--steps", "60", "--batch-atoms", str(BATCH_ATOMS)),
}
KINDS = tuple(OPTIONS)


def run(
    kind: str, model: str, store: Path, output: Path, workers: int, *, kill: bool = False
) -> tuple[Followed, list[int]]:
    """Gives the command, and kills one of its workers half way if asked; what was seen, and who was killed."""
    command = [sys.executable, "-m", "eqcli", kind, model, str(store), "-o", str(output), *OPTIONS[kind]]
    command += ["--cluster", str(_cluster(output, workers)), "--quiet"]
    total = _length(store)
    killed: list[int] = []

    def look(beats: list[Beat]) -> None:
        if kill and not killed and sum(beat.items for beat in beats) > total // 2:
            killed.append(beats[0].pid)
            os.kill(beats[0].pid, signal.SIGKILL)

    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    followed = follow(process, output, total, look)
    if not followed.rate:
        raise SystemExit("the work was over before it could be measured; take more structures")
    return followed, killed


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


def ceiling(kind: str, model: str, store: Path) -> dict[str, float]:
    """What the two cores themselves give: see `cores`."""
    found = measured(Load("model", Path(model), store, BATCH_ATOMS, relaxing=kind == "relax"))
    return {name: value for name, value in found.items() if name.startswith("ratio")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("input", type=Path)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--structures", type=int, default=8192)
    given = parser.parse_args()
    figures = []
    for kind in given.kind:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            store = enlarged(given.input, given.structures, folder)
            (one, _), (two, _), (hurt, killed) = (
                run(kind, given.model, store, folder / f"{name}.h5", count, kill=name == "hurt")
                for name, count in (("one", 1), ("two", 2), ("hurt", 2))
            )
            figures.append(
                {
                    "kind": kind,
                    "structures": given.structures,
                    "one worker, structures/s": round(one.rate, 1),
                    "two workers, structures/s": round(two.rate, 1),
                    "ratio": round(two.rate / one.rate, 2),
                    "ratio of whole times": round(one.seconds / two.seconds, 2),
                    "processor ms a structure, workers": [round(1e3 * each.workers, 3) for each in (one, two)],
                    "processor ms a structure, coordinator": [round(1e3 * each.coordinator, 3) for each in (one, two)],
                    # One worker has a core for itself; two share theirs with the coordinator.
                    "ratio on idle cores": round(2 * one.workers / (two.workers + two.coordinator), 2),
                    "seconds": [round(each.seconds, 1) for each in (one, two, hurt)],
                    "two equal one": same(folder / "one.h5", folder / "two.h5"),
                    "killed": bool(killed),
                    "killed equals one": same(folder / "one.h5", folder / "hurt.h5"),
                    "two cores to one, the model alone": ceiling(kind, given.model, store),
                }
            )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
