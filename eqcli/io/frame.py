"""What the readers make: the contents of one frame in the file's own names and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.layout import UNKNOWN, Layout
from eqcli.io.structure import FloatArray, Structure


@dataclass
class Frame:
    """One structure as a file states it, before names, units and signs are interpreted.

    Attributes
    ----------
    numbers, positions
        Atomic numbers `[N]` and Cartesian positions `[N, 3]`.
    cell
        Rows are the lattice vectors; None where the file has none.
    pbc
        Three booleans; None where the file does not say.
    info, arrays
        Entries per structure and per atom, labels among them.
    charge, fixed
        Where the format itself states them.
    where
        File, frame and the line where the frame begins.
    header_line, first_row
        Lines of the per-structure entries and of the first atom, for messages.
    angstrom
        Whether the format itself defines lengths as Å, whatever the convention says.
    implicit_labels
        Which entries are labels without being named by the convention: all with a well-known name,
        those called energy, forces, stress and virial alone, or none.
    layout
        What the layout of the file says about names and units.
    """

    numbers: NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray | None = None
    pbc: NDArray[np.bool_] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    charge: float | None = None
    fixed: NDArray[np.bool_] | None = None
    where: Where = field(default_factory=Where)
    header_line: int | None = None
    first_row: int | None = None
    angstrom: bool = False
    implicit_labels: Literal["known", "standard", "none"] = "known"
    layout: Layout = UNKNOWN

    def at(self, *, atom: int | None = None, key: str | None = None) -> Where:
        """The place of an atom's row, or of the per-structure entries."""
        line = self.header_line if self.header_line is not None else self.where.line
        if atom is not None and self.first_row is not None:
            line = self.first_row + atom
        return Where(self.where.file, self.where.frame, line, key)


Item = Frame | Structure | InputError
"""What a reader yields for each frame: its contents, or the error that stands in its place."""

Items = Iterator[Item]


def atomic_number(token: str) -> int | None:
    """Atomic number of a symbol in any case, of D or T, or of a number; None for anything else."""
    number = _CACHE.get(token)
    if number is None:
        number = _look_up(token)
        if number is not None and len(_CACHE) < 1000:
            _CACHE[token] = number
    return number


_CACHE: dict[str, int] = {symbol: z for symbol, z in NUMBERS.items() if z > 0}


def _look_up(token: str) -> int | None:
    if token.isascii() and token.isdigit():
        z = int(token)
        return z if 0 < z < len(NUMBERS) else None
    if token.upper() in ("D", "T"):
        return 1
    z = NUMBERS.get(token.capitalize(), 0)
    return z or None


def unknown_element(token: str, where: Where) -> InputError:
    """The error for a token that is no element."""
    return InputError(
        f"'{token[:20]}' is not a chemical element",
        where,
        "Expected a symbol (H, He, ...) or an atomic number; atom labels such as C1 or CA must be turned into symbols.",
    )


def first_bad_row(values: Iterable[Any]) -> int | None:
    """Index of the first row that holds NaN or infinity; None when all are finite."""
    finite = np.isfinite(np.asarray(values, dtype=np.float64))
    rows = finite.reshape(len(finite), -1).all(axis=1)
    return None if rows.all() else int(np.argmin(rows))


def plain(value: Any) -> Any:
    """`value` as JSON-able Python data: arrays become lists, numpy scalars Python numbers."""
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


_PLAIN = frozenset((bool, int, float, str))
"""What most entries are."""
