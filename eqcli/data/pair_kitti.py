"""Pairs of scans of KITTI odometry: `sequences/08/velodyne/000000.bin`, `sequences/08/calib.txt`, `poses/08.txt`.

Poses are those of the left camera, a row of 12 numbers per frame; `Tr` of the calibration leads from the scanner to
the camera. The folder may be that above `sequences`, `sequences` itself, or one sequence; poses may stand in the
sequence as `poses.txt`. Where the folder has lists `NAME_metadata.npy` (rows: sequence, source frame, target frame)
with `NAME_gt_tforms.npy` (motions [K, 4, 4]), as RotKITTI and LoKITTI have, the pairs are those of the lists.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqcli.data.pair_files import CloudPair, Floats, Found, read_numbers, rigid
from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.io.text import read_text

DISTANCE = 10.0
"""Metres between the scans of a pair in published comparisons (Choy, Park and Koltun, ICCV 2019)."""

AHEAD = 100
"""Frames after the first one of a pair in which the second one is looked for."""

LISTS, MOTIONS = "_metadata.npy", "_gt_tforms.npy"


def is_kitti(folder: Path) -> bool:
    """Whether the folder has sequences of scans."""
    return bool(_sequences(folder))


def _sequences(folder: Path) -> list[Path]:
    """The folders of sequences, in the order of their names."""
    if (folder / "velodyne").is_dir():
        return [folder]
    places = [folder, folder / "sequences", folder / "dataset" / "sequences"]
    found = [child for place in places if place.is_dir() for child in place.iterdir() if (child / "velodyne").is_dir()]
    return sorted(found)


def pairs_of_kitti(folder: Path, distance: float = DISTANCE) -> Found:
    """The listed pairs, or else, in each sequence with poses, pairs of scans that are `distance` metres apart.

    Raises InputError where a list is damaged; a damaged sequence is a failure.
    """
    sequences = {sequence.resolve().name: sequence for sequence in _sequences(folder)}
    lists = sorted(folder.glob(f"*{LISTS}"))
    for path in lists:
        yield from _listed(path, sequences)
    for name, sequence in sequences.items() if not lists else ():
        try:
            yield from _spaced(name, sequence, distance)
        except EqcliError as error:
            yield Failure.of(name, error)


def _spaced(name: str, sequence: Path, distance: float) -> Found:
    """From a scan to the last one before the first that is farther than `distance`, then on from the next."""
    poses = scanner_poses(sequence)
    scans = _scans(sequence)
    places = poses[:, :3, 3]
    first = 0
    while first < len(poses):
        apart = np.linalg.norm(places[first : first + AHEAD] - places[first], axis=-1)
        beyond = np.flatnonzero(apart > distance)
        if first not in scans or not len(beyond):
            first += 1
            continue
        second = first + max(int(beyond[0]) - 1, 1)
        if second in scans:
            truth = np.linalg.inv(poses[second]) @ poses[first]
            yield CloudPair(f"{name}/{first}-{second}", scans[first], scans[second], truth, scene=name)
        first = second + 1


def _scans(sequence: Path) -> dict[int, Path]:
    """Scans by the number of their frame."""
    paths = sorted((sequence / "velodyne").glob("*.bin"))
    return {int(path.stem): path for path in paths if path.stem.isascii() and path.stem.isdecimal()}


def scanner_poses(sequence: Path) -> Floats:
    """Poses [K, 4, 4] of the scanner in the frame of the first camera.

    Raises InputError where poses or calibration are missing or damaged.
    """
    above = sequence.resolve().parent
    places = [sequence / "poses.txt", above.parent / "poses" / f"{sequence.resolve().name}.txt"]
    places.append(above / "poses" / f"{sequence.resolve().name}.txt")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError("the sequence has no poses", Where(sequence), f"Expected {places[1]} or {places[0]}.")
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            rows.append(_motion(line, Where(path, line=number)))
    if not rows:
        raise InputError("the file of poses is empty", Where(path))
    return np.asarray(np.stack(rows) @ _calibration(sequence / "calib.txt"))


def _calibration(path: Path) -> Floats:
    if not path.is_file():
        raise InputError("the sequence has no calibration", Where(path))
    for number, line in enumerate(read_text(path).splitlines(), 1):
        key, _, numbers = line.partition(":")
        if key.strip() in ("Tr", "Tr_velo_to_cam"):
            return _motion(numbers, Where(path, line=number))
    raise InputError("the calibration has no line 'Tr:' from the scanner to the camera", Where(path))


def _motion(text: str, where: Where) -> Floats:
    values = read_numbers(text, where)
    if len(values) != 12:
        raise InputError(f"expected a motion as 3 rows of 4 numbers, 12 in all, and here are {len(values)}", where)
    return rigid(np.vstack([np.array(values).reshape(3, 4), [0, 0, 0, 1]]), where)


def _listed(path: Path, sequences: dict[str, Path]) -> Found:
    label = path.name.removesuffix(LISTS)
    rows, motions = _array(path), _array(path.with_name(label + MOTIONS))
    if rows.ndim != 2 or rows.shape[1] != 3 or motions.shape != (len(rows), 4, 4):
        message = f"expected rows of 3 numbers and as many motions, and here are {rows.shape} and {motions.shape}"
        raise InputError(message, Where(path))
    scans: dict[str, dict[int, Path]] = {}
    for row, (which, first, second) in enumerate(rows.astype(np.int64).tolist()):
        key = f"{which:02d}"
        name = f"{label}/{key}/{first}-{second}"
        if key not in scans:
            scans[key] = _scans(sequences[key]) if key in sequences else {}
        absent = [frame for frame in (first, second) if frame not in scans[key]]
        if absent:
            yield Failure(name, f"there is no scan {absent[0]} of sequence {key}", Where(path, frame=row))
            continue
        try:
            truth = rigid(motions[row].astype(np.float64), Where(path.with_name(label + MOTIONS), frame=row))
        except InputError as error:
            yield Failure.of(name, error)
            continue
        yield CloudPair(name, scans[key][first], scans[key][second], truth, scene=f"{label}/{key}")


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"this array cannot be read: {error}", Where(path)) from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.number):
        raise InputError("this file holds no array of numbers", Where(path))
    return array
