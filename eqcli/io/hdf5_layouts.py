"""HDF5 files of data sets: which layout a file has, and what their readers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.formats import Format
from eqcli.io.frame import Items

CHUNK = 1000
"""Conformations read at once."""

DEPTH = 3
"""Groups of ANI-1 lie two deep."""

_OF_MOLECULE = re.compile(r"(^|[._])(dipole|quadrupole)$")
"""Names of moments of the whole molecule; three components are no three atoms."""


def recognise(path: Path) -> Format:
    """The layout of an HDF5 file; what is none of the known ones counts as a dataset of the tool's own."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return Format.DATASET
    try:
        with h5py.File(path, "r") as file:
            if "format" in file.attrs:
                return Format.DATASET
            group = next(leaves(file), None)
            if group is None:
                return Format.DATASET
            return Format.SPICE if "conformations" in group else Format.ANI
    except (OSError, RuntimeError, KeyError):
        return Format.DATASET


def read_groups(path: Path, conformations: Callable[[Path, Any, int], Items]) -> Items:
    """What `conformations` gives for each group, which gets the path, the group and the number of its first frame.

    A group that cannot be read is one error, and the others go on.
    """
    import h5py

    number = 0
    with h5py.File(path, "r") as file:
        for group in leaves(file):
            try:
                for item in conformations(path, group, number):
                    yield item
                    number += 1
                continue
            except InputError as error:
                yield error
            except (OSError, RuntimeError, ValueError) as error:
                yield InputError(f"the group '{group.name}' cannot be read: {error}", Where(path, number))
            number += 1


def leaves(group: Any, depth: int = DEPTH) -> Iterator[Any]:
    """The groups that hold conformations, in the order of their names."""
    import h5py

    for name in group:
        inner = group.get(name)
        if isinstance(inner, h5py.Group):
            if "conformations" in inner or "coordinates" in inner:
                yield inner
            elif depth > 1:
                yield from leaves(inner, depth - 1)


def member(group: Any, key: str, where: Where) -> Any:
    """A dataset of the group. Raises InputError where it is absent."""
    import h5py

    found = group.get(key)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"the group '{group.name}' has no array '{key}'", Where(where.file, where.frame, key=key))
    return found


def positions_shape(array: Any, where: Where) -> tuple[int, int]:
    """Numbers of conformations and atoms. Raises InputError where the array is not `[M, N, 3]` of numbers."""
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind != "f" or array.shape[1] == 0:
        size = " x ".join(map(str, array.shape))
        message = f"'{array.name}' is {size} of {array.dtype}; expected conformations x atoms x 3 numbers"
        raise InputError(message, Where(where.file, where.frame, key=array.name))
    return int(array.shape[0]), int(array.shape[1])


def per_conformation(group: Any, count: int, natoms: int, skip: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The group's arrays of numbers with a row per conformation: those per structure, and those per atom."""
    import h5py

    info, arrays = {}, {}
    for key, array in group.items():
        if key in skip or not isinstance(array, h5py.Dataset) or array.dtype.kind not in "fiu":
            continue
        if array.ndim >= 2 and array.shape[:2] == (count, natoms) and not _OF_MOLECULE.search(key):
            arrays[key] = array
        elif array.ndim >= 1 and array.shape[0] == count:
            info[key] = array
    return info, arrays


def pieces(count: int) -> Iterator[slice]:
    """Slices that cover `count` conformations."""
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def row(blocks: dict[str, NDArray[Any]], index: int) -> dict[str, Any]:
    """Row `index` of each block; rows with NaN, which stand for what was not computed, are left out."""
    rows = {key: np.asarray(block[index]) for key, block in blocks.items()}
    return {key: value for key, value in rows.items() if value.dtype.kind != "f" or np.isfinite(value).all()}


def atomic_numbers(array: Any, where: Where, rows: slice | None = None) -> NDArray[np.int64]:
    """Atomic numbers from numbers or from symbols (bytes or text), in the shape of the array or of its `rows`."""
    values = np.asarray(array[()] if rows is None else array[rows])
    if values.dtype.kind in "iu":
        numbers = values.astype(np.int64)
        if numbers.size and not ((numbers > 0) & (numbers < len(NUMBERS))).all():
            bad = numbers[(numbers <= 0) | (numbers >= len(NUMBERS))].flat[0]
            raise InputError(f"'{array.name}' holds {bad}, which is no atomic number", where)
        return numbers
    symbols = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.flat]
    unknown = next((s for s in symbols if NUMBERS.get(s, 0) <= 0), None)
    if unknown is not None:
        raise InputError(f"'{array.name}' holds '{unknown[:20]}', which is no chemical element", where)
    return np.array([NUMBERS[s] for s in symbols], dtype=np.int64).reshape(values.shape)
