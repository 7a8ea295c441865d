"""SPICE: one group per molecule with its conformations, in atomic units.

Positions (`conformations`) in Bohr; the label is `dft_total_energy` in Hartree, forces are the negative of
`dft_total_gradient`, Hartree/Bohr. `formation_energy` (Hartree, isolated atoms subtracted) is a label where it
is named. Everything else per conformation or atom is kept in the file's units (MBIS multipoles, dipoles, bond
orders), and so are `smiles` and `subset`; the name of the group is `info["name"]`. The file states no charges:
they are the sum of the MBIS charges, rounded, where the file has those.

Source: Eastman et al., Sci. Data 10, 11 (2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
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

GRADIENT = "dft_total_gradient"
CHARGES = "mbis_charges"
UNITS = {
    "conformations": "bohr",
    "dft_total_energy": "hartree",
    "formation_energy": "hartree",
    GRADIENT: "hartree/bohr",
}
"""What the attribute `units` of each array says, where it has one."""

LAYOUT = Layout(
    "SPICE",
    energy="dft_total_energy",
    forces="forces",
    units={"dft_total_energy": "Hartree", "formation_energy": "Hartree", "forces": "Hartree"},
    length_unit="Bohr",
    remark=f"forces are the negative of '{GRADIENT}'",
)


def read(path: Path) -> Items:
    """A structure per conformation; a group that cannot be read is one error, and the others go on."""
    yield from read_groups(path, _conformations)


def _conformations(path: Path, group: Any, number: int) -> Items:
    where = Where(path, number)
    positions = member(group, "conformations", where)
    count, natoms = positions_shape(positions, where)
    numbers = atomic_numbers(member(group, "atomic_numbers", where), where)
    if numbers.shape != (natoms,):
        raise InputError(f"'{group.name}' has {numbers.size} atomic numbers and {natoms} atoms", where)
    _check_units(group, where)
    shared = {"name": group.name.strip("/")} | _texts(group)
    infos, arrays = per_conformation(group, count, natoms, {"conformations", "atomic_numbers"})
    for piece in pieces(count):
        xyz = np.asarray(positions[piece], dtype=np.float64)
        info_block = {key: array[piece] for key, array in infos.items()}
        array_block = {key: array[piece] for key, array in arrays.items()}
        for i in range(len(xyz)):
            atoms = row(array_block, i)
            if GRADIENT in atoms:
                atoms["forces"] = -atoms.pop(GRADIENT).astype(np.float64)
            yield Frame(
                numbers=numbers,
                positions=xyz[i],
                pbc=np.zeros(3, dtype=bool),
                info=shared | plain(row(info_block, i)),
                arrays=atoms,
                charge=float(np.rint(atoms[CHARGES].sum()) + 0.0) if CHARGES in atoms else None,
                where=Where(path, number + piece.start + i),
                implicit_labels="none",
                layout=LAYOUT,
            )


def _check_units(group: Any, where: Where) -> None:
    """Raises InputError where an array states another unit than SPICE has."""
    for key, unit in UNITS.items():
        stated = group[key].attrs.get("units") if key in group else None
        stated = stated.decode() if isinstance(stated, bytes) else stated
        if stated is not None and str(stated).lower() != unit:
            raise InputError(f"'{key}' is stated to be in {stated}; SPICE has {unit}", Where(where.file, key=key))


def _texts(group: Any) -> dict[str, str]:
    """`smiles` and `subset`, each an array of one text."""
    found = {}
    for key in ("smiles", "subset"):
        if key in group and group[key].size == 1:
            value = np.asarray(group[key][()]).flat[0]
            found[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return found
