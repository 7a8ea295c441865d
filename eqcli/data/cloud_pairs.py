"""Finding pairs of clouds among files."""

from __future__ import annotations

from pathlib import Path

from eqcli.data.pair_files import CloudPair as CloudPair
from eqcli.data.pair_files import Found
from eqcli.data.pair_folders import is_benchmark, pairs_of_benchmark
from eqcli.data.pair_kitti import DISTANCE, is_kitti, pairs_of_kitti
from eqcli.data.pair_tables import pairs_of_table
from eqcli.errors import InputError, Where
from eqcli.files import require_file

TABLE = "pairs.csv"
"""The table of a folder that the program wrote."""

TABLES = (".csv", ".csv.gz")


def find_pairs(path: str | Path, *, distance: float = DISTANCE) -> Found:
    """The pairs of a table or folder, in a fixed order; a failure for each that cannot be used.

    Parameters
    ----------
    path
        A table as in `eqcli.data.pair_tables`, a folder with such a table named `pairs.csv`, or a folder of 3DMatch or
        KITTI as in `eqcli.data.pair_folders` and `eqcli.data.pair_kitti`.
    distance
        Metres between the scans of a pair of KITTI, about.

    Raises
    ------
    InputError
        There is no such file or folder, it is of another kind or damaged, or there are no pairs in it.
    """
    source = Path(path)
    found = _of_folder(source, distance) if source.is_dir() else _of_file(source)
    empty = True
    for item in found:
        empty = False
        yield item
    if empty:
        raise InputError("no pairs of clouds here", Where(path))


def _of_file(path: Path) -> Found:
    if not require_file(path).name.lower().endswith(TABLES):
        raise InputError(
            "this file is no list of pairs",
            Where(path),
            "Expected a table (.csv) with the columns source and target, or a folder.",
        )
    return pairs_of_table(path)


def _of_folder(folder: Path, distance: float) -> Found:
    if (folder / TABLE).is_file():
        return pairs_of_table(folder / TABLE)
    if is_benchmark(folder):
        return pairs_of_benchmark(folder)
    if is_kitti(folder):
        return pairs_of_kitti(folder, distance)
    raise InputError(
        "no pairs of clouds here",
        Where(folder),
        f"Expected {TABLE}, scenes with gt.log (3DMatch), or sequences/08/velodyne with poses (KITTI).",
    )
