"""False alarms of both kinds of the default registration, with the evidence of every pair.

    python tests/benchmarks/registration_evidence.py FOLDER [--seeds 2] [--out evidence.csv]

FOLDER is that of the registration data. Related pairs (partial views of meshes, fragments, rooms, scans) should give a
motion that is right and believed, unrelated ones none that is believed. Rows are written as they come; those that the
file has already are not computed again.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from eqcli.engine.registration import register_clouds
from tests.benchmarks.cloud_cases import Case, extent, related, turned, unrelated
from tests.engine.registration_case import errors

FIGURES = "matches inliers expected_by_chance places support least_support overlap target_overlap agreement runner_up"

COLUMNS = ["pair", "seed", "related", "reliable", "right", "degrees", "shift", *FIGURES.split(), "ambiguous", "cpu"]

RIGHT = (5.0, 0.05)
"""Degrees, and share of the extent, within which a motion is the right one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("evidence.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = _known(options.out)
    for seed in range(1, options.seeds + 1):
        for case in _alternating(options.folder, seed):
            if (case.name, str(seed)) not in known:
                _append(options.out, row(turned(case, seed), seed))
    print(summary(list(csv.DictReader(options.out.open()))))


def _alternating(folder: Path, seed: int) -> Iterator[Case]:
    """Related and unrelated ones in turn, so that a run that is cut short has both."""
    for pair in zip_longest(related(folder, seed), unrelated(folder, seed)):
        yield from (case for case in pair if case is not None)


def row(case: Case, seed: int) -> dict[str, Any]:
    """What registration says of a pair."""
    begin = time.process_time()
    found = register_clouds(case.source, case.target)
    seconds = time.process_time() - begin
    values: dict[str, Any] = {"pair": case.name, "seed": seed, "related": int(case.truth is not None)}
    if case.truth is not None:
        degrees, shift = errors(found.motion.matrix().numpy(), case.truth, case.source)
        right = degrees < RIGHT[0] and shift < RIGHT[1] * extent(case.source)
        values |= {"right": int(right), "degrees": f"{degrees:.3f}", "shift": f"{shift:.4g}"}
    values |= {name: f"{getattr(found.evidence, name):.4g}" for name in FIGURES.split()}
    values |= {"reliable": int(found.reliable), "ambiguous": "; ".join(found.ambiguities), "cpu": f"{seconds:.1f}"}
    return values


def summary(rows: list[dict[str, str]]) -> str:
    """Counts of what was believed."""
    together, apart = ([r for r in rows if r["related"] == kind] for kind in "10")
    believed = [r for r in together if r["reliable"] == "1"]
    lines = [
        "| | pairs | believed | believed and wrong | right but not believed |",
        "|---|---|---|---|---|",
        f"| related | {len(together)} | {len(believed)} | {_count(believed, '0')} | "
        f"{_count([r for r in together if r['reliable'] == '0'], '1')} |",
        f"| unrelated | {len(apart)} | {sum(r['reliable'] == '1' for r in apart)} | - | - |",
    ]
    return "\n".join(lines)


def _count(rows: list[dict[str, str]], right: str) -> int:
    return sum(r["right"] == right for r in rows)


def _known(path: Path) -> set[tuple[str, str]]:
    if not path.exists():
        return set()
    with path.open() as file:
        return {(r["pair"], r["seed"]) for r in csv.DictReader(file)}


def _append(path: Path, values: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(values)


if __name__ == "__main__":
    main()
