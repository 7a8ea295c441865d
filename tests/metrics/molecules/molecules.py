"""Molecules that the tests of their figures share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure

_REAL = """
C O N S P F Cl [H][H] C#N C#C C=C C=O [C-]#[O+] C[N+]#[C-] CC(=O)O CC(=O)[O-] C[NH3+] [NH3+]CC(=O)[O-]
C[N+](C)(C)CC(=O)[O-] [OH3+] [OH-] [Na+].[Cl-] C[C-](C)C C[C+](C)C C[N+](=O)[O-] O=[N+]([O-])c1ccccc1
CN=[N+]=[N-] [N-]=[N+]=Nc1ccccc1 C=[N+]=[N-] CO[N+](=O)[O-] ONC=O C[N+]([O-])(C)C CS CSC CS(=O)C CS(=O)(=O)C
C[S+]([O-])C C[S+](C)C C[S+](C)(C)=O CS(=O)(=O)O CS(=O)(=O)[O-] CS(=O)(=O)N FS(F)(F)(F)(F)F CP(C)C CP(=O)(C)C
C[P+](C)(C)C COP(=O)(O)O COP(=O)([O-])[O-] F[P-](F)(F)(F)(F)F S=P(O)(O)O c1ccccc1 c1ccc2ccccc2c1 c1ccncc1
c1cc[nH+]cc1 C[n+]1ccccc1 [O-][n+]1ccccc1 c1cc[o+]cc1 c1cc[s+]cc1 c1cc[nH]c1 c1ccoc1 c1ccsc1 c1cc[se]c1
c1c[nH]cn1 c1c[nH]c[nH+]1 c1cn[n-]c1 c1nn[n-]n1 c1ccc2[nH]ccc2c1 c1ccn2cccc2c1 c1ccc2c(c1)ccc1ccccc12
c1ccc2cccc-2cc1 O=c1cc[nH]cc1 Cn1c(=O)c2c(ncn2C)n(C)c1=O c1ccc[cH+]cc1 c1cc[cH-]c1 c1ccpcc1 c1ccbcc1 B1NBNBN1
CB(O)O C[B-](C)(C)C F[B-](F)(F)F C[Si](C)(C)C CCl CBr CI C[I+]C C1CC1 C1=CC1 C12C3C4C1C5C2C3C45 O=C=O
CC(C)=C=O N#CC#N NC(N)=[NH2+] C[C@H](N)C(=O)O C/C=C/C C/C=C\\C FC(F)(F)c1ccccc1 O=I(=O)c1ccccc1
[O-][Cl+3]([O-])([O-])[O-] C[As](C)C C[Se]C CC(=O)Oc1ccccc1C(=O)O CN1CCC[C@H]1c1cccnc1
"""

REAL = _REAL.split()
"""SMILES of molecules that exist, or near enough: each kind of valence once at least."""


def molecule(smiles: str, *, aromatic: bool = False, positions: bool = True) -> Structure:
    """The molecule of a SMILES, embedded with a fixed seed, or with its atoms at random places."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import AllChem
    from rdkit.Geometry import Point3D

    with rdBase.BlockLogs():
        made = Chem.AddHs(Chem.MolFromSmiles(smiles))
        if positions:
            parameters = AllChem.ETKDGv3()
            parameters.randomSeed = 7
            assert AllChem.EmbedMolecule(made, parameters) == 0
        else:
            conformer = Chem.Conformer(made.GetNumAtoms())
            for i, place in enumerate(np.random.default_rng(0).uniform(0, 20, (made.GetNumAtoms(), 3))):
                conformer.SetAtomPosition(i, Point3D(*place))
            made.AddConformer(conformer)
    return structure_of(made, aromatic=aromatic)


def without_atom(structure: Structure, gone: int) -> Structure:
    """The molecule with one atom and its bonds left out."""
    keep = np.arange(len(structure)) != gone
    place = np.cumsum(keep) - 1
    bonds = [[int(place[i]), int(place[j]), o] for i, j, o in structure.info["bonds"] if gone not in (i, j)]
    return replace(
        structure,
        numbers=structure.numbers[keep],
        positions=structure.positions[keep],
        info={**structure.info, "bonds": bonds},
        arrays={name: values[keep] for name, values in structure.arrays.items()},
    )


def with_charge(structure: Structure, atom: int, charge: int) -> Structure:
    """The molecule with another formal charge on one atom."""
    charges = structure.arrays.get("formal_charge", np.zeros(len(structure), dtype=np.int64)).copy()
    charges[atom] = charge
    return replace(structure, arrays={**structure.arrays, "formal_charge": charges})


def water() -> Structure:
    return Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))


def beside(first: Structure, second: Structure, distance: float = 8.0) -> Structure:
    """Two molecules far apart as one structure."""
    bonds = [[i + len(first), j + len(first), o] for i, j, o in second.info.get("bonds", [])]
    return Structure(
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.positions, second.positions + np.array([distance, 0, 0])]),
        info={"bonds": [*first.info.get("bonds", []), *bonds]},
    )
