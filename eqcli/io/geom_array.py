"""GEOM as the array of EDM's preparation, `GEOM_drugs_30.npy`: a row per atom with molecule, atomic number, x, y, z.

Rows with the same first number, which stand together, are a molecule. `GEOM_drugs_n_30.npy` beside the file has the
number of atoms of each and is compared; `GEOM_drugs_smiles.txt` has the SMILES, which are taken where there is one
for each molecule: with several conformers per SMILES nothing says which belongs to which. The array is mapped,
never loaded, so that memory does not depend on its size. It states no energies and no bonds.

Source: Hoogeboom et al., ICML 2022 (arXiv:2203.17003).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.geom import atomic_numbers
from eqcli.io.layout import Layout
from eqcli.io.text import open_text

ROWS = 1 << 16
"""Rows taken at once."""

COLUMNS = 5
_NAME = re.compile(r"(?P<set>.+)_(?P<kind>(?:no_h_)?\d+)\.npy", re.IGNORECASE)


def read(path: Path) -> Items:
    """A structure per molecule of the array."""
    array = _open(path)
    if array.ndim == 1 and array.dtype.kind in "iu":
        hint = "Name the array of atoms, e.g. GEOM_drugs_30.npy."
        raise InputError("this array holds one number per molecule, not atoms", Where(path), hint)
    if array.ndim != 2 or array.shape[1] != COLUMNS or array.dtype.kind not in "fiu":
        size = " x ".join(map(str, array.shape)) or "one number"
        message = f"the array is {size} of {array.dtype}; expected atoms x 5: molecule, atomic number, x, y, z"
        raise InputError(message, Where(path))
    if not len(array):
        raise InputError("the array is empty", Where(path))
    sizes, smiles, remark = _beside(path)
    layout = Layout("GEOM, array of atoms", length_unit="Angstrom", remark=remark)
    number = -1
    for number, rows in enumerate(_molecules(array)):
        if sizes is not None and (number >= len(sizes) or sizes[number] != len(rows)):
            stated = f"{sizes[number]} atoms" if number < len(sizes) else "no such molecule"
            raise InputError(f"{len(rows)} rows, and the list of sizes beside it says {stated}", Where(path, number))
        yield _item(rows, None if smiles is None else next(smiles), Where(path, number), layout)
    if sizes is not None and number + 1 != len(sizes):
        message = f"the file ends after {number + 1} molecules of the {len(sizes)} that the list of sizes has"
        raise InputError(message, Where(path, number), "The file may be cut off.")


def _open(path: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, TypeError) as error:
        raise InputError(f"this is not an .npy file of numbers, or it is cut off: {error}", Where(path)) from error
    if not isinstance(found, np.ndarray):
        raise InputError("this is an .npz archive with the name of an .npy file", Where(path))
    return found


def _molecules(array: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """The rows of each molecule."""
    rest = np.zeros((0, COLUMNS))
    for start in range(0, len(array), ROWS):
        rows = np.concatenate([rest, np.asarray(array[start : start + ROWS], dtype=np.float64)])
        edges = np.flatnonzero(rows[1:, 0] != rows[:-1, 0]) + 1
        *whole, rest = np.split(rows, edges)
        yield from whole
    yield rest


def _item(rows: NDArray[np.float64], smiles: str | None, where: Where, layout: Layout) -> Item:
    try:
        if not np.isfinite(rows).all():
            raise ValueError("a row holds NaN or infinity")
        numbers = atomic_numbers(rows[:, 1])
    except ValueError as error:
        return InputError(str(error), where)
    return Frame(
        numbers=numbers,
        positions=rows[:, 2:].copy(),
        pbc=np.zeros(3, dtype=bool),
        info={"molecule": int(rows[0, 0])} | ({"smiles": smiles} if smiles else {}),
        where=where,
        implicit_labels="none",
        layout=layout,
    )


def _beside(path: Path) -> tuple[NDArray[Any] | None, Iterator[str] | None, str]:
    """Sizes and SMILES of the molecules where files beside the array have them, and what is to be said of them."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        return None, None, ""
    listed = path.with_name(f"{name['set']}_n_{name['kind']}.npy")
    sizes = _open(listed) if listed.is_file() else None
    if sizes is not None and (sizes.ndim != 1 or sizes.dtype.kind not in "iu"):
        raise InputError("expected one number of atoms per molecule", Where(listed))
    texts = path.with_name(f"{name['set']}_smiles.txt")
    if not texts.is_file() or sizes is None:
        return sizes, None, ""
    with open_text(texts) as file:
        count = sum(1 for line in file if line.strip())
    if count != len(sizes):
        remark = f"{texts.name} has {count:,} SMILES and the array {len(sizes):,} molecules: they are left out"
        return sizes, None, remark
    return sizes, _lines(texts), ""


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as file:
        yield from (line.strip() for line in file if line.strip())
