"""Where pockets are found beside where ligands bind, and the receptor's centre as the baseline.

python -m tests.benchmarks.pockets FOLDER [FOLDER ...] [-o F.json]

Each folder holds complexes (`eqcli.data.complexes`). A receptor counts once, and receptors of one protein share one
vote. The aim is the mean of the centroids of its ligands, or for a crystal the nearest copy of the ligand. Seconds are
of `find_pockets` alone, on one processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.data.complexes import ComplexFiles, find_complexes
from eqcli.errors import Failure, InputError
from eqcli.io.atom_types import RADII, AtomType
from eqcli.io.ligand import read_ligands
from eqcli.io.receptor import read_receptor, without_overlap
from eqcli.models.docking.pockets import find_pockets

RANKS, LIMITS = (1, 3, 5, 10), (4.0, 5.0)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One receptor: distances of its pockets (best first) and of its centre to the aim, Å."""

    name: str
    protein: str
    atoms: int
    distances: FloatArray
    centre: float
    seconds: float


def heavy(path: Path) -> list[FloatArray]:
    """Heavy atoms of each ligand of a file that can be read."""
    structures = (item.structure for item in read_ligands(path) if not isinstance(item, InputError))
    return [s.positions[s.numbers > 1] for s in structures]


def row_of(files: ComplexFiles) -> Row:
    ligands = heavy(files.ligand)
    if not ligands:
        raise InputError("no ligand can be read")
    receptor = without_overlap(read_receptor(files.receptor), ligands[0])
    extra = heavy(files.cofactors) if files.cofactors else []
    aims = np.array([np.mean([x.mean(0) for x in ligands], axis=0)])
    if files.copies:
        aims = np.array([aims[0], *(x.mean(0) for x in heavy(files.copies))])
    kept, types = receptor.heavy, receptor.structure.arrays["atom_type"]
    positions = np.concatenate([receptor.structure.positions[kept], *extra])
    radii = [RADII[AtomType(int(t))] if t >= 0 else 1.8 for t in types[kept]] + [1.8] * sum(map(len, extra))
    began = time.process_time()
    centres = np.array([p.centre for p in find_pockets(positions, np.array(radii))]).reshape(-1, 3)
    seconds = time.process_time() - began
    distances = np.linalg.norm(centres[:, None] - aims, axis=-1).min(1)
    centre = float(np.linalg.norm(positions.mean(0) - aims, axis=-1).min())
    return Row(files.name, files.protein, len(positions), distances, centre, seconds)


def rows_of(folder: Path) -> list[Row]:
    """A row per receptor; what fails is printed."""
    rows: dict[Path, Row] = {}
    for item in find_complexes(folder):
        if isinstance(item, Failure):
            print(f"{item.item}: {item.reason}")
        elif item.receptor not in rows:
            try:
                rows[item.receptor] = row_of(item)
            except InputError as error:
                print(f"{item.name}: {error}")
    return list(rows.values())


def figures(rows: list[Row]) -> dict[str, Any]:
    """Shares of proteins with a pocket near the aim, by limit and rank, and of those whose centre is."""
    counts = Counter(row.protein for row in rows)
    votes = np.array([1 / counts[row.protein] for row in rows])
    votes /= votes.sum()
    found: dict[str, Any] = {"receptors": len(rows), "proteins": len(counts)}
    for limit in LIMITS:
        for rank in RANKS:
            found[f"top {rank} within {limit:g}"] = float(votes @ [(r.distances[:rank] < limit).any() for r in rows])
        found[f"centre within {limit:g}"] = float(votes @ [row.centre < limit for row in rows])
    found["median of the first"] = float(np.median([r.distances[0] if len(r.distances) else np.inf for r in rows]))
    found["seconds, median"] = float(np.median([row.seconds for row in rows]))
    slowest = max(rows, key=lambda row: row.seconds)
    found["seconds, most"], found["atoms of that"] = slowest.seconds, slowest.atoms
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for folder in arguments.folders:
        rows = rows_of(folder)
        if not rows:
            parser.error(f"{folder}: nothing could be read")
        results[folder.name] = figures(rows)
        print(folder.name)
        for name, value in results[folder.name].items():
            print(f"  {name:22s} {value:8.3f}" if isinstance(value, float) else f"  {name:22s} {value:8d}")
        for row in rows:
            print(f"  {row.name:50s} {row.distances[:5].round(1).tolist()}")
    if arguments.o:
        arguments.o.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
