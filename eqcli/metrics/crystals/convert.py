"""Structures as pymatgen knows them, and which releases of the libraries measure."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import MissingDependency
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_VOLUME = 0.1
"""Å^3. A cell of less has collapsed (the bound of CDVAE's structural validity)."""
LARGEST_COORDINATE = 1e6
"""Å. Of positions and cells; beyond it nothing is a crystal, and rounding spoils distances."""
HINT = "pip install 'eqcli[crystals]'"

Composition = tuple[tuple[int, int], ...]
"""Atomic numbers and their least whole counts, in the order of the numbers."""


def require_pymatgen() -> None:
    """Raises MissingDependency where pymatgen is not installed."""
    if find_spec("pymatgen") is None:
        raise MissingDependency("comparing crystals needs pymatgen, which is not installed", hint=HINT)


def versions() -> dict[str, str | None]:
    """Releases of the libraries on which figures of crystals depend; None for one that is not installed."""
    return {name: _version(name) for name in ("pymatgen", "spglib", "smact", "numpy", "scipy")}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def fault_of(structure: Structure) -> str | None:
    """Why `structure` is no crystal that can be compared; None where it is one."""
    if len(structure) == 0:
        return "it has no atoms"
    if not (np.isfinite(structure.cell).all() and np.isfinite(structure.positions).all()):
        return "positions or cell are not finite"
    if max(np.abs(structure.cell).max(), np.abs(structure.positions).max()) > LARGEST_COORDINATE:
        return f"positions or cell are beyond {LARGEST_COORDINATE:g} Å"
    if not structure.pbc.all():
        return "it does not repeat in three directions"
    if structure.volume <= SMALLEST_VOLUME:
        return f"the volume of its cell is {structure.volume:.2g} Å^3"
    if structure.numbers.min() < 1 or structure.numbers.max() >= len(SYMBOLS):
        return "it has atoms of no element"
    return None


def to_pymatgen(structure: Structure) -> Any:
    """The `pymatgen.core.Structure` of a crystal; raises ValueError with the reason where it is none."""
    fault = fault_of(structure)
    if fault is not None:
        raise ValueError(fault)
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure as Crystal

    species = [SYMBOLS[number] for number in structure.numbers]
    return Crystal(Lattice(structure.cell), species, structure.positions, coords_are_cartesian=True)


def composition_of(numbers: NDArray[np.int64]) -> Composition:
    """The reduced composition: `((11, 1), (17, 1))` for any number of formula units of NaCl."""
    counts = Counter(int(number) for number in numbers)
    units = reduce(gcd, counts.values(), 0) or 1
    return tuple((number, counts[number] // units) for number in sorted(counts))


def formula_of(composition: Composition) -> str:
    """The reduced formula, elements in the order of their numbers, e.g. `O3CaTi`."""
    return "".join(
        f"{SYMBOLS[number] if 0 < number < len(SYMBOLS) else 'X'}{count if count > 1 else ''}"
        for number, count in composition
    )


def volume_per_atom(structure: Structure) -> float:
    """Å^3 per atom."""
    return structure.volume / len(structure)


def volume_error(structure: Structure, reference: Structure) -> float:
    """|V / V_ref - 1| of the volumes per atom."""
    return abs(volume_per_atom(structure) / volume_per_atom(reference) - 1)
