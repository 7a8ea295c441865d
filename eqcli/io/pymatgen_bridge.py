"""Structures as pymatgen knows them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import MissingDependency
from eqcli.io.structure import Structure

SMALLEST_VOLUME = 0.1
"""Å^3. A cell of less has collapsed (the bound of CDVAE's structural validity)."""
LARGEST_COORDINATE = 1e6
"""Å. Of positions and cells; beyond it nothing is a crystal, and rounding spoils distances."""
HINT = "pip install 'eqcli[crystals]'"


def require_pymatgen() -> None:
    """Raises MissingDependency where pymatgen is not installed."""
    if find_spec("pymatgen") is None:
        raise MissingDependency("comparing crystals needs pymatgen, which is not installed", hint=HINT)


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
