"""The symmetry of a crystal, found and kept (through spglib)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.constraints import FixSymmetry
    from numpy.typing import NDArray


def space_group(atoms: Atoms, symprec: float) -> str | None:
    """Symbol and number, e.g. `Fm-3m (225)`; None without three periods or where none is found.

    `symprec` is the largest distance in Å of an atom from where a symmetry takes it.
    """
    if not atoms.pbc.all() or len(atoms) == 0:
        return None
    import spglib

    try:
        found = spglib.get_spacegroup((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec)
    except getattr(spglib, "SpglibError", ValueError):
        return None
    return str(found) if found else None


def symmetry_constraint(atoms: Atoms, fixed: NDArray[np.bool_] | None, symprec: float) -> FixSymmetry:
    """An ASE constraint that keeps the space group of `atoms`, whose positions and cell are refined to it.

    Raises InputError where there is no space group, or where the fixed atoms do not have its symmetry.
    """
    from ase.constraints import FixSymmetry

    _require_space_group(atoms, symprec)
    constraint = FixSymmetry(atoms, symprec=symprec)
    images = np.array(constraint.symm_map)  # [operations, N], the atom that each one is taken to
    if fixed is not None and (fixed[images] != fixed).any():
        raise asymmetric_fixed_atoms()
    return constraint


def refine_to_symmetry(atoms: Atoms, symprec: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Moves positions and cell of `atoms` onto its symmetry; the operations, `[K, 3, 3]` and `[K, 3]`.

    An operation takes fractional coordinates s (a column) to R s + t. Raises InputError where there is no space group.
    """
    from ase.spacegroup.symmetrize import check_symmetry, refine_symmetry

    _require_space_group(atoms, symprec)
    refine_symmetry(atoms, symprec)
    found = check_symmetry(atoms, symprec)
    return np.array(found.rotations), np.array(found.translations)


def asymmetric_fixed_atoms() -> InputError:
    """What is wrong where a symmetry takes a fixed atom to one that moves."""
    return InputError(
        "the fixed atoms do not have the symmetry of the crystal",
        hint="Fix all atoms that are equivalent, or do not ask to keep the symmetry.",
    )


def _require_space_group(atoms: Atoms, symprec: float) -> None:
    if space_group(atoms, symprec) is None:
        raise InputError(
            "there is no space group to keep",
            hint="Symmetry is kept in structures that are periodic in three directions.",
        )


def symmetry_error(atoms: Atoms, constraint: FixSymmetry) -> float:
    """How far `atoms` is from the operations of `constraint`, in Å: of an atom from its image, or of a cell vector."""
    cell: NDArray[Any] = atoms.cell.array
    scaled = atoms.get_scaled_positions(wrap=False)
    metric = cell @ cell.T
    worst = 0.0
    for rotation, shift, images in zip(constraint.rotations, constraint.translations, constraint.symm_map, strict=True):
        misfit = scaled @ rotation.T + shift - scaled[images]
        worst = max(worst, float(np.linalg.norm((misfit - np.round(misfit)) @ cell, axis=1).max()))
        # Rows of `turned` are the images of the lattice vectors; a symmetry keeps their scalar products.
        turned = rotation.T @ metric @ rotation
        worst = max(worst, float(np.abs(turned - metric).max() / np.sqrt(np.diag(metric)).min()))
    return worst
