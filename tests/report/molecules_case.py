"""Molecules for the tests of pages: sane ones from SMILES, and broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure


def embedded(smiles: str, *, aromatic: bool = False) -> Structure:
    """A molecule with all hydrogens and positions by distance geometry."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=1) == 0
    return structure_of(molecule, aromatic=aromatic)


def with_orders(structure: Structure, changes: Sequence[tuple[int, float]]) -> Structure:
    """The molecule with other orders of some of its bonds."""
    bonds: list[list[float]] = [list(bond) for bond in structure.info["bonds"]]
    for place, order in changes:
        bonds[place][2] = order
    return replace(structure, info={**structure.info, "bonds": bonds})


def without_bonds(structure: Structure) -> Structure:
    return Structure(structure.numbers, structure.positions)
