"""Structures to and from ASE's Atoms."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqcli.io.frame import plain
from eqcli.io.structure import Structure


def to_ase(structure: Structure) -> Any:
    """An `ase.Atoms` with cell, periodicity, constraint, info and arrays; labels in a single-point calculator.

    The total charge becomes `info["charge"]`.
    """
    from ase import Atoms
    from ase.calculators import singlepoint

    # ASE is not typed.
    calculator: Any = singlepoint.SinglePointCalculator
    atoms: Any = Atoms(
        numbers=structure.numbers, positions=structure.positions, cell=structure.cell, pbc=structure.pbc.tolist()
    )
    atoms.info.update(structure.info)
    if structure.charge is not None:
        atoms.info["charge"] = structure.charge
    for name, values in structure.arrays.items():
        if name not in atoms.arrays:
            atoms.new_array(name, np.asarray(values))
    atoms.set_constraint(_constraints(structure))
    results: dict[str, Any] = {}
    if structure.energy is not None:
        results["energy"] = structure.energy
    if structure.forces is not None:
        results["forces"] = structure.forces
    if structure.stress is not None:
        stress = structure.stress
        results["stress"] = np.array([stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])
    if results:
        atoms.calc = calculator(atoms, **results)
    return atoms


def _constraints(structure: Structure) -> list[Any]:
    """Held atoms, and atoms held in some Cartesian directions only."""
    free = structure.free_directions
    if free.all():
        return []
    # It brings all of ASE's crystal lattices along, which takes more than half a second.
    from ase import constraints

    fix: Any = constraints
    held = ~free.any(axis=1)
    found: list[Any] = [fix.FixAtoms(mask=held)] if held.any() else []
    partly = ~held & ~free.all(axis=1)
    for pattern in np.unique(free[partly], axis=0):
        found.append(fix.FixCartesian(np.flatnonzero(partly & (free == pattern).all(axis=1)), mask=~pattern))
    return found


def from_ase(atoms: Any) -> Structure:
    """The structure of an `ase.Atoms`; labels are those its calculator holds, none are computed."""
    from ase.constraints import FixAtoms

    results = dict(getattr(atoms.calc, "results", None) or {})
    info = {str(k): plain(v) for k, v in atoms.info.items()}
    charge = info.pop("charge", None)
    if results.get("dipole") is not None:
        info.setdefault("dipole", plain(results["dipole"]))
    fixed = None
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed = np.zeros(len(atoms), dtype=bool) if fixed is None else fixed
            fixed[constraint.index] = True
    stress = results.get("stress")
    return Structure(
        numbers=atoms.numbers,
        positions=atoms.positions.copy(),
        cell=np.array(atoms.cell),
        pbc=atoms.pbc,
        energy=None if results.get("energy") is None else float(results["energy"]),
        forces=None if results.get("forces") is None else np.array(results["forces"], dtype=np.float64),
        stress=None if stress is None or not atoms.pbc.all() else _full(np.asarray(stress, dtype=np.float64)),
        charge=None if charge is None else float(charge),
        fixed=fixed,
        info=info,
        arrays=({"charges": np.array(results["charges"])} if results.get("charges") is not None else {})
        | {k: v.copy() for k, v in atoms.arrays.items() if k not in ("numbers", "positions")},
    )


def _full(stress: np.ndarray) -> np.ndarray:
    if stress.shape == (3, 3):
        return stress
    xx, yy, zz, yz, xz, xy = stress.tolist()
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
