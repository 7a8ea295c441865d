"""Molecules for GFN2-xTB by tblite through ASE (Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019))."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from eqcli.errors import InputError, MissingDependency
from eqcli.io.structure import Structure

METHOD = "GFN2-xTB"


def require_tblite() -> None:
    """Raises MissingDependency where tblite is not installed."""
    if find_spec("tblite") is None:
        raise MissingDependency(f"{METHOD} needs tblite, which is not installed", hint="pip install 'eqcli[data]'")


def total_charge(structure: Structure) -> int:
    """The sum of formal charges; without any, the charge of the structure, and 0 where that is unknown."""
    formal = structure.arrays.get("formal_charge")
    return round(float(np.sum(formal))) if formal is not None else round(structure.charge or 0)


def xtb_atoms(structure: Structure) -> Any:
    """ASE's atoms with the calculator, of the lowest spin that the electrons allow (singlet or doublet).

    Raises
    ------
    MissingDependency
        tblite is not installed.
    InputError
        The structure has no atoms, or a period, or positions that are not finite; it has no electrons.
    """
    require_tblite()
    if len(structure) == 0 or structure.pbc.any():
        raise InputError("it is no molecule: it has no atoms or is periodic", structure.where)
    if not np.isfinite(structure.positions).all():
        raise InputError("a position is not a finite number", structure.where)
    charge = total_charge(structure)
    electrons = int(structure.numbers.sum()) - charge
    if electrons < 1:
        raise InputError(f"with the charge {charge} it has no electrons", structure.where)
    from ase import Atoms
    from tblite.ase import TBLite

    atoms = Atoms(structure.numbers, positions=structure.positions)
    atoms.calc = TBLite(method=METHOD, charge=charge, multiplicity=1 + electrons % 2, verbosity=0)
    return atoms
