"""Complexes as structures and as arrays, made in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from eqcli.data.complex_set import ComplexSet, complex_set
from eqcli.data.complex_structures import ligand_structure, receptor_structure
from eqcli.io.receptor import Receptor, read_receptor
from eqcli.io.structure import Structure
from tests.docking_folder import LIGANDS, bound, protein, shape_of


@cache
def receptor(seed: int) -> Receptor:
    """A small protein as it is read."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"p{seed}.pdb")
        path.write_text(protein(seed))
        return read_receptor(path)


@cache
def stored(proteins: int = 2, ligands: Sequence[str] = LIGANDS[:4], conformers: int = 3) -> list[Structure]:
    """Receptors, each before its ligands, as a run stores them."""
    found = []
    for seed in range(proteins):
        own = receptor_structure(receptor(seed), name=f"p{seed}.pdb", protein=f"p{seed}")
        found.append(own)
        for k, smiles in enumerate(ligands):
            shape = shape_of(smiles)
            placed = replace(shape.structure, positions=bound(smiles, protein(seed), 10 * seed + k))
            ligand = replace(shape, structure=placed, given=True)
            found.append(ligand_structure(ligand, own, name=f"p{seed}/{smiles}", conformers=conformers, seed=0))
    return found


@cache
def complexes(proteins: int = 2, ligands: Sequence[str] = LIGANDS[:4], conformers: int = 3) -> ComplexSet:
    return complex_set(stored(proteins, ligands, conformers), neighbours=8, reach=30.0)
