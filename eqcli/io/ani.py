"""ANI's data sets: groups of conformations with `coordinates`, in Å, and energies in Hartree.

Three layouts: ANI-1 (a group per molecule, symbols in `species`), ANI-1x (a group per formula,
`atomic_numbers`, energies by method as `wb97x_dz.energy`), TorchANI (a group per number of atoms, `species`
of every conformation). The labels are `energies` and `forces`, in ANI-1x `wb97x_dz.energy` and
`wb97x_dz.forces`; another method is chosen by naming its entries. What was not computed is NaN in the file and
left out. Charges of ANI-1x (`*.hirshfeld_charges` and the like) are in e, dipoles in e Å; all molecules are neutral.

Sources: Smith, Isayev and Roitberg, Sci. Data 4, 170193 (2017); Smith et al., Sci. Data 7, 134 (2020).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.conventions import EnergyUnit
from eqcli.io.frame import Frame, Items, plain
from eqcli.io.hdf5_layouts import (
    atomic_numbers,
    member,
    per_conformation,
    pieces,
    positions_shape,
    read_groups,
    row,
)
from eqcli.io.layout import Layout

SPECIES = ("species", "atomic_numbers")
METHOD = "wb97x_dz"
OFF_EQUILIBRIUM = ("coordinatesHE", "energiesHE")
"""Of ANI-1: conformations with high energies, which its training does not use; kept out of the frames."""


def read(path: Path) -> Items:
    """A structure per conformation; a group that cannot be read is one error, and the others go on."""
    yield from read_groups(path, _conformations)


def _conformations(path: Path, group: Any, number: int) -> Items:
    where = Where(path, number)
    positions = member(group, "coordinates", where)
    count, natoms = positions_shape(positions, where)
    key = next((name for name in SPECIES if name in group), "species")
    species = member(group, key, where)
    each = species.shape == (count, natoms) and species.dtype.kind in "iu"
    common = np.zeros(natoms) if each else _common(group, species, natoms, where)
    infos, arrays = per_conformation(group, count, natoms, {"coordinates", *SPECIES, *OFF_EQUILIBRIUM})
    layout = _layout(group)
    for piece in pieces(count):
        xyz = np.asarray(positions[piece], dtype=np.float64)
        numbers = np.broadcast_to(atomic_numbers(species, where, piece) if each else common, xyz.shape[:2])
        info_block = {key: array[piece] for key, array in infos.items()}
        array_block = {key: array[piece] for key, array in arrays.items()}
        for i in range(len(xyz)):
            yield Frame(
                numbers=numbers[i],
                positions=xyz[i],
                pbc=np.zeros(3, dtype=bool),
                info={"name": group.name.strip("/")} | plain(row(info_block, i)),
                arrays=row(array_block, i),
                charge=0.0,
                where=Where(path, number + piece.start + i),
                implicit_labels="none",
                layout=layout,
            )


def _common(group: Any, species: Any, natoms: int, where: Where) -> NDArray[np.int64]:
    """The elements that all conformations of the group share."""
    numbers = atomic_numbers(species, where).ravel()
    if len(numbers) != natoms:
        raise InputError(f"'{group.name}' has {len(numbers)} species and {natoms} atoms", where)
    return numbers


def _layout(group: Any) -> Layout:
    by_method = f"{METHOD}.energy" in group
    energy, forces = (f"{METHOD}.energy", f"{METHOD}.forces") if by_method else ("energies", "forces")
    units: dict[str, EnergyUnit] = {
        key: "Hartree" for key in group if key in ("energies", "forces") or key.endswith(("energy", ".forces"))
    }
    return Layout("ANI-1x" if by_method else "ANI", energy, forces, units=units, length_unit="Angstrom")
