"""The structure that every reader makes and every writer takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import Where

FloatArray = NDArray[np.float64]


@dataclass
class Structure:
    """Atoms in space, with the labels that a file or a model attached to them.

    All quantities are in the units of the tool: Å, eV, eV/Å, eV/Å^3, e.

    Attributes
    ----------
    numbers
        Atomic numbers, `[N]` int64.
    positions
        Cartesian positions, `[N, 3]` float64, as the file gives them (never wrapped).
    cell
        Rows are the lattice vectors, `[3, 3]` float64; zeros where there is none.
    pbc
        Whether each lattice vector is a period, `[3]` bool.
    energy
        Total energy of the structure, or None when there is no label.
    forces
        `[N, 3]`, or None.
    stress
        `(1/V) dE/d(strain)`, `[3, 3]` symmetric, tensile positive, or None.
    charge
        Total charge, or None when unknown.
    fixed
        Atoms held in place during relaxation, `[N]` bool, or None.
    info
        Everything else per structure (JSON-able values), e.g. `config_type`.
    arrays
        Everything else per atom, first axis N.
    where
        File, frame and line that it was read from.
    """

    numbers: NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    energy: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    charge: float | None = None
    fixed: NDArray[np.bool_] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    where: Where = field(default_factory=Where)

    def __post_init__(self) -> None:
        self.numbers = np.asarray(self.numbers, dtype=np.int64)
        self.positions = np.asarray(self.positions, dtype=np.float64).reshape(-1, 3)
        self.cell = np.asarray(self.cell, dtype=np.float64).reshape(3, 3)
        pbc = np.asarray(self.pbc, dtype=bool)
        self.pbc = pbc.copy() if pbc.shape == (3,) else np.broadcast_to(pbc, (3,)).copy()
        if len(self.numbers) != len(self.positions):
            raise ValueError(f"{len(self.numbers)} atomic numbers but {len(self.positions)} positions")

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def spin(self) -> float | None:
        """Spin multiplicity 2S + 1, the number `spin` of `info`; None where it is absent or no number."""
        stated = self.info.get("spin")
        return None if isinstance(stated, bool) or not isinstance(stated, Real) else float(stated)

    @property
    def volume(self) -> float:
        """Volume of the cell in Å^3, positive for left-handed cells too."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def free_directions(self) -> NDArray[np.bool_]:
        """Whether each atom may move along each direction, `[N, 3]`: `fixed` and the array `move_mask` together."""
        mask = self.arrays.get("move_mask")
        free = np.ones((len(self), 3), dtype=bool)
        if mask is not None and np.shape(mask) == free.shape:
            free &= np.asarray(mask, dtype=bool)
        if self.fixed is not None:
            free &= ~self.fixed[:, None]
        return free

    @property
    def name(self) -> str:
        """How messages name this structure: its place, or its formula."""
        return str(self.where) or formula(self.numbers)


def formula(numbers: NDArray[np.int64]) -> str:
    """Hill formula, e.g. `C2H6O`."""
    from eqcli.elements import SYMBOLS

    counts = {SYMBOLS[z]: int((numbers == z).sum()) for z in np.unique(numbers)}
    first = [s for s in ("C", "H") if s in counts] if "C" in counts else []
    order = first + sorted(s for s in counts if s not in first)
    return "".join(f"{s}{counts[s] if counts[s] > 1 else ''}" for s in order)
