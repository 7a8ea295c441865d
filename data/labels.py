"""What the scripts that make the shipped data share: the label method and the writer of frames.

Labels are energies, forces, stresses, dipoles and charges of the xTB Hamiltonians, computed by tblite through ASE.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from tblite.ase import TBLite

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

MULTIPLICITY = {"H": 2, "C": 3, "N": 4, "O": 3}
"""2S + 1 of the ground state of each free atom."""


def xtb(method: str, multiplicity: int | None = None) -> Calculator:
    """The calculator of every label, converged ten times tighter than tblite's default."""
    return TBLite(method=method, multiplicity=multiplicity, accuracy=0.1, verbosity=0)


def labelled(atoms: Atoms, config_type: str, calculator: Calculator | None = None) -> Atoms:
    """A copy of `atoms` with its energy and forces, its stress where it is periodic in three directions, and its
    dipole and atomic charges where it is a molecule.

    Results that the calculator of `atoms` already has for these positions are used again.
    """
    if calculator is not None:
        atoms.calc = calculator
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(apply_constraint=False)}
    if atoms.pbc.all():
        results["stress"] = atoms.get_stress(voigt=True)
    elif len(atoms) > 1 and not atoms.pbc.any():
        results |= {"dipole": atoms.get_dipole_moment(), "charges": atoms.get_charges()}
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    frame.info["config_type"] = config_type
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def isolated_atom(symbol: str, method: str) -> Atoms:
    """One free atom in its ground-state spin, from which models take the reference energy of the element."""
    return labelled(Atoms(symbol), "IsolatedAtom", xtb(method, MULTIPLICITY[symbol]))


def write_frames(path: Path, frames: list[Atoms]) -> None:
    """Writes extended XYZ: positions and forces with eight decimals, stress as nine numbers, all in ASE's units."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, frames, format="extxyz")
    print(f"{path}: {len(frames)} frames, {sum(map(len, frames))} atoms")


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation drawn uniformly from SO(3), `[3, 3]`."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
