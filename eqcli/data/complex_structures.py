"""Complexes as structures: what a run stores of its receptors and ligands, in dataset files.

A receptor is its heavy atoms with the arrays of `eqcli.io.receptor`, and in `info` its `name`, `protein`, `sequence`
and backbone (`residues`). A ligand is its crystal pose, with conformers and torsions as arrays, and in `info` the
name of its receptor.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eqcli.errors import InputError
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor

CONTACT = 5.0
"""Å; a crystal pose with no receptor atom this near is not bound."""


def receptor_structure(receptor: Receptor, *, name: str, protein: str) -> Structure:
    """The receptor as it is stored. Raises InputError where it has no amino acids."""
    residues = receptor.residues
    if len(residues.ca) == 0:
        raise InputError("the receptor has no amino acids that a network could be shown", receptor.structure.where)
    heavy = receptor.heavy
    backbone = {"amino_acid": residues.amino_acid.tolist()}
    backbone |= {key: np.asarray(getattr(residues, key)).tolist() for key in ("n", "ca", "c")}
    structure = receptor.structure
    return Structure(
        numbers=structure.numbers[heavy],
        positions=structure.positions[heavy],
        info={
            "role": "receptor",
            "name": name,
            "protein": protein,
            "sequence": residues.sequence(),
            "residues": backbone,
        },
        arrays={key: np.asarray(values)[heavy] for key, values in structure.arrays.items()},
        where=structure.where,
    )


def ligand_structure(ligand: Ligand, receptor: Structure, *, name: str, conformers: int, seed: int) -> Structure:
    """The ligand as it is stored, in the pose that it was read in.

    Raises InputError where the pose is far from the receptor, or no conformer can be made.
    """
    from scipy.spatial import cKDTree

    from eqcli.io.ligand_conformers import conformers as make
    from eqcli.io.ligand_topology import topology

    structure = ligand.structure
    if not ligand.given:
        raise InputError("the ligand has no pose: its positions were generated", structure.where)
    heavy = structure.numbers > 1
    distance = float(cKDTree(receptor.positions).query(structure.positions[heavy])[0].min())
    if distance > CONTACT:
        raise InputError(
            f"the ligand is not bound: {distance:.1f} Å lie between it and the receptor",
            structure.where,
            "Both must be in the same frame.",
        )
    shape = topology(ligand)
    found = make(ligand, conformers, seed)
    return replace(
        structure,
        info={
            "role": "ligand",
            "name": name,
            "receptor": receptor.info["name"],
            "bonds": structure.info["bonds"],
            "rotatable": shape.rotatable.tolist(),
        },
        arrays={
            **structure.arrays,
            "conformers": np.moveaxis(np.asarray(found), 0, 1),
            "moved": np.asarray(shape.moved, dtype=bool).T.reshape(len(structure), -1),
        },
    )
