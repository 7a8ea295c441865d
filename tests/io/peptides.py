"""Small proteins for tests: peptides from RDKit, and lines of PDB files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np


@cache
def peptide(sequence: str, seed: int = 1) -> str:
    """Heavy atoms of a peptide of L-amino acids in chain A as the text of a PDB file, without its end."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSequence(sequence), addResidueInfo=True)
    assert AllChem.EmbedMolecule(molecule, randomSeed=seed, useRandomCoords=True) == 0
    AllChem.UFFOptimizeMolecule(molecule, maxIters=200)
    block = Chem.MolToPDBBlock(Chem.RemoveHs(molecule))
    return "".join(f"{line}\n" for line in block.splitlines() if line.startswith("ATOM"))


def line(
    name: str,
    residue: str,
    number: int,
    position: Iterable[float],
    element: str,
    *,
    chain: str = "A",
    hetero: bool = True,
    altloc: str = " ",
    code: str = " ",
    occupancy: float = 1.0,
) -> str:
    """One atom of a PDB file."""
    x, y, z = position
    label = f" {name:<3}" if len(element) == 1 and len(name) < 4 else f"{name:<4}"
    record = "HETATM" if hetero else "ATOM"
    return (
        f"{record:<6}    1 {label}{altloc}{residue:>3} {chain}{number:>4}{code}   {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{occupancy:6.2f}  0.00          {element:>2}\n"
    )


def far(k: int = 0) -> np.ndarray:
    """A place away from the peptides and from the other ones."""
    return np.array([60.0, 0.0, 8.0 * k])
