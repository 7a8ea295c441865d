"""Other cells of the same crystal: Niggli-reduced and primitive ones (through spglib).

The crystal stays where it is in space, without any rotation: positions, forces and stress of the atoms that are
kept are what they were, and only the lattice vectors are others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.structure import FloatArray, Structure

NOTE = "cell_reduction"
"""The entry of `info` that says which labels a primitive cell could not keep."""


def reduced(structure: Structure, *, niggli: bool = True, primitive: bool = False, symprec: float = 0.01) -> Structure:
    """The same crystal in its Niggli-reduced cell, in a primitive one, or in both; right-handed always.

    Without `primitive` all atoms stay, in their order and with all labels. With it each atom stands for those that
    translations take it to: positions and forces are their means, energy and charge go with the number of atoms,
    and what differs between them (magnetic moments, say) is dropped and named in `info["cell_reduction"]`.

    Parameters
    ----------
    structure
        A crystal, periodic in three directions.
    niggli
        Whether the cell is reduced: the shortest vectors, all angles acute or none (Krivy and Gruber, Acta Cryst.
        A 32, 297 (1976)).
    primitive
        Whether the smallest cell is looked for.
    symprec
        Distance in Å within which an atom counts as the translated image of another.

    Raises
    ------
    InputError
        Where the structure is no crystal, or spglib finds no cell.
    """
    _check(structure)
    if primitive:
        structure = _primitive(structure, symprec)
    cell = _niggli(structure) if niggli else structure.cell
    return replace(structure, cell=-cell if np.linalg.det(cell) < 0 else cell)


def _check(structure: Structure) -> None:
    if not structure.pbc.all():
        raise InputError(
            "a cell can be reduced where there are three periods", structure.where, "Molecules and slabs have none."
        )
    finite = np.isfinite(structure.cell).all() and np.isfinite(structure.positions).all()
    if not finite or structure.volume <= 0:
        raise InputError("the cell or the positions are not finite, or the cell has no volume", structure.where)


def _niggli(structure: Structure) -> FloatArray:
    found = _ask(structure, "niggli_reduce", structure.cell)
    combination = np.rint(found @ np.linalg.inv(structure.cell))
    cell: FloatArray = combination @ structure.cell
    if round(abs(np.linalg.det(combination))) != 1 or not np.allclose(cell, found, atol=1e-4 * np.abs(found).max()):
        raise InputError("the cell is too skewed to be reduced", structure.where)
    return cell


def _primitive(structure: Structure, symprec: float) -> Structure:
    if len(structure) == 0:
        return structure
    fractional = structure.positions @ np.linalg.inv(structure.cell)
    dataset = _ask(structure, "get_symmetry_dataset", (structure.cell, fractional, structure.numbers), symprec)
    ratio = np.rint(structure.cell @ np.linalg.inv(np.asarray(dataset.primitive_lattice)))
    times = round(abs(np.linalg.det(ratio)))
    _, first, merged = np.unique(dataset.mapping_to_primitive, return_index=True, return_inverse=True)
    if times == 1:
        return structure
    if times * len(first) != len(structure):
        raise InputError(
            f"{len(structure)} atoms do not make {times} primitive cells", structure.where, "Try a smaller symprec."
        )
    return _merged(structure, np.linalg.inv(ratio) @ structure.cell, first, merged)


def _merged(structure: Structure, cell: FloatArray, first: NDArray[Any], merged: NDArray[Any]) -> Structure:
    """One atom for each class of translated images, in the order in which the first of each comes."""
    order = np.argsort(first)
    keep, classes = first[order], np.argsort(order)[merged]
    share = len(keep) / len(structure)
    # Images are taken to the cell of the atom that stands for them, then averaged.
    apart = (structure.positions - structure.positions[keep][classes]) @ np.linalg.inv(cell)
    apart = (apart - np.rint(apart)) @ cell
    arrays = {name: values[keep] for name, values in structure.arrays.items() if _same(values, keep, classes)}
    fixed = structure.fixed
    same_fixed = fixed is None or _same(fixed, keep, classes)
    dropped = sorted(set(structure.arrays) - set(arrays)) + ([] if same_fixed else ["fixed"])
    note = {NOTE: f"dropped, different in equivalent atoms: {', '.join(dropped)}"} if dropped else {}
    return replace(
        structure,
        numbers=structure.numbers[keep],
        positions=structure.positions[keep] + _class_means(apart, classes),
        cell=cell,
        energy=None if structure.energy is None else structure.energy * share,
        forces=None if structure.forces is None else _class_means(structure.forces, classes),
        charge=None if structure.charge is None else structure.charge * share,
        fixed=fixed[keep] if fixed is not None and same_fixed else None,
        info={**structure.info, **note},
        arrays=arrays,
    )


def _class_means(values: FloatArray, classes: NDArray[Any]) -> FloatArray:
    total = np.zeros((int(classes.max()) + 1, *values.shape[1:]))
    np.add.at(total, classes, values)
    means: FloatArray = total / np.bincount(classes)[:, None]
    return means


def _same(values: NDArray[Any], keep: NDArray[Any], classes: NDArray[Any]) -> bool:
    chosen = values[keep][classes]
    if np.issubdtype(values.dtype, np.floating):
        return bool(np.allclose(values, chosen, atol=1e-3, rtol=1e-3, equal_nan=True))
    return bool((values == chosen).all())


def _ask(structure: Structure, name: str, *arguments: Any) -> Any:
    """What a function of spglib finds; how it says that it finds nothing depends on the version."""
    import spglib

    try:
        found = getattr(spglib, name)(*arguments)
    except getattr(spglib, "SpglibError", ValueError) as error:
        raise InputError(f"spglib finds no cell: {error}", structure.where) from error
    if found is None:
        raise InputError("spglib finds no cell", structure.where, "Do atoms lie on one another?")
    return found
