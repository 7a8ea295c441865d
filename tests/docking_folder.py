"""Folders of small complexes: bundles of ideal helices with ligands in the groove between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqcli.io.ligand import Ligand, ligand_of
from eqcli.io.receptor_residues import AMINO_ACIDS

Floats = NDArray[np.float64]

LIGANDS = ("CCO", "c1ccccc1O", "CC(=O)NC", "c1ccccc1CCC(F)CO", "C[C@H](N)C(=O)O", "c1ccncc1CC", "CCSCC", "NC1CCCC1")
"""Small molecules with and without rings, torsions and a stereocentre."""

GROOVE = 11.0
"""Å between the axes of neighbouring helices."""

FREE = 3.0
"""Å; no heavy atom of a ligand is nearer to the receptor, and some atom is about this near."""

BACKBONE = ((1.329, 121.7, 180.0), (1.458, 121.7, 180.0), (1.525, 111.0, -57.0))
"""Length, angle and dihedral of N (psi is -47), CA (omega) and C (phi) after the three atoms before them."""


def _next(a: Floats, b: Floats, c: Floats, length: float, angle: float, torsion: float) -> Floats:
    """The atom at this length from c, angle at c and dihedral about b -> c."""
    theta, phi = np.radians([angle, torsion])
    axis = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, axis)
    normal /= np.linalg.norm(normal)
    side = np.cross(normal, axis)
    return np.asarray(
        c + length * (-np.cos(theta) * axis + np.sin(theta) * np.cos(phi) * side + np.sin(theta) * np.sin(phi) * normal)
    )


@cache
def helix(residues: int) -> dict[str, Floats]:
    """N, CA, C, O and CB of an ideal alpha helix along z, each `[residues, 3]`, Å."""
    atoms = [np.array([0.0, 0, 0]), np.array([1.458, 0, 0]), np.array([2.004, 1.424, 0])]
    for k in range(3, 3 * residues + 1):
        length, angle, torsion = BACKBONE[k % 3]
        atoms.append(_next(*atoms[-3:], length, angle, -47.0 if k % 3 == 0 else torsion))
    n, ca, c = (np.array(atoms[k : 3 * residues : 3]) for k in range(3))
    following = np.array(atoms[3::3])
    o = c + 1.231 * _unit(-_unit(ca - c) - _unit(following - c))
    inward, normal = _unit(n - ca) + _unit(c - ca), np.cross(n - ca, c - ca)
    cb = ca + 1.53 * _unit(-0.58 * _unit(inward) + 0.81 * _unit(normal))
    found = {"N": n, "CA": ca, "C": c, "O": o, "CB": cb}
    middle = ca.mean(0)
    axis = np.linalg.svd(ca - middle)[2][0]
    turn = _onto_z(axis)
    return {name: (x - middle) @ turn.T for name, x in found.items()}


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _onto_z(axis: Floats) -> Floats:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.align_vectors(np.array([[0.0, 0, 1]]), axis[None])[0].as_matrix())


@cache
def protein(seed: int, helices: int = 3, residues: int = 14) -> str:
    """A bundle of helices of random residues, one chain each, as the text of a PDB file; side chains end at CB."""
    random = np.random.default_rng([seed, 1])
    shape, lines = helix(residues), []
    for number in range(helices):
        angle = 2 * np.pi * number / helices
        place = GROOVE / 3**0.5 * np.array([np.cos(angle), np.sin(angle), 0.0])
        spin = random.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(spin), -np.sin(spin), 0], [np.sin(spin), np.cos(spin), 0], [0, 0, 1]])
        for row, kind in enumerate(random.integers(0, len(AMINO_ACIDS), residues)):
            for name, positions in shape.items():
                if name == "CB" and AMINO_ACIDS[kind] == "GLY":
                    continue
                x, y, z = turn @ positions[row] + place
                lines.append(
                    f"ATOM  {len(lines) + 1:5d}  {name:<3} {AMINO_ACIDS[kind]} {'ABCDEF'[number]}{row + 1:4d}    "
                    f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {name[0]:>2}\n"
                )
        lines.append("TER\n")
    return "".join(lines) + "END\n"


def heavy_atoms(text: str) -> Floats:
    """Positions in the text of a PDB file, Å."""
    rows = [line for line in text.splitlines() if line.startswith("ATOM")]
    return np.array([[float(line[k : k + 8]) for k in (30, 38, 46)] for line in rows])


@cache
def shape_of(smiles: str) -> Ligand:
    """A molecule in a generated shape."""
    from rdkit import Chem

    return ligand_of(Chem.MolFromSmiles(smiles), smiles)


def bound(smiles: str, text: str, seed: int) -> Floats:
    """Where the atoms of a molecule lie when it touches a receptor, Å `[N, 3]`: shaken at random, free of clashes."""
    from scipy.spatial import cKDTree
    from scipy.spatial.transform import Rotation

    random = np.random.default_rng([seed, 2])
    structure, atoms = shape_of(smiles).structure, heavy_atoms(text)
    positions = structure.positions - structure.positions.mean(0)
    positions = positions @ Rotation.random(rng=random).as_matrix().T
    start = np.array([0.0, 0.0, random.uniform(-6, 6)])
    angle = random.uniform(0, 2 * np.pi)
    out = np.array([np.cos(angle), np.sin(angle), 0.0])
    tree = cKDTree(atoms)
    for step in np.arange(0.0, 40.0, 0.1):
        moved = positions + start + step * out
        if tree.query(moved[structure.numbers > 1])[0].min() >= FREE:
            return np.asarray(moved)
    raise AssertionError("no free place")


def record(smiles: str, positions: Floats, title: str) -> str:
    """A record of an SD file."""
    from rdkit import Chem

    from eqcli.io.rdkit_molecule import molecule_of

    molecule = molecule_of(replace(shape_of(smiles).structure, positions=positions))
    molecule.SetProp("_Name", title)
    return f"{Chem.MolToMolBlock(molecule)}$$$$\n"


def series_folder(folder: Path, proteins: int = 4, ligands: Sequence[str] = LIGANDS[:3]) -> Path:
    """`pK/protein.pdb` with `pK/ligands.sdf`: every ligand bound to every protein."""
    for number in range(proteins):
        place, text = folder / f"p{number}", protein(number)
        place.mkdir(parents=True)
        (place / "protein.pdb").write_text(text)
        records = [record(x, bound(x, text, 10 * number + k), f"l{k}") for k, x in enumerate(ligands)]
        (place / "ligands.sdf").write_text("".join(records))
    return folder


def pdbbind_folder(folder: Path, proteins: int = 8, ligands: Sequence[str] = LIGANDS, first_year: int = 2001) -> Path:
    """`1aaK/1aaK_protein.pdb` with `1aaK/1aaK_ligand.sdf`, a ligand for each protein, and an index with years."""
    rows = []
    for number in range(proteins):
        name, text, smiles = f"1aa{number}", protein(number), ligands[number % len(ligands)]
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}_protein.pdb").write_text(text)
        (folder / name / f"{name}_ligand.sdf").write_text(record(smiles, bound(smiles, text, number), name))
        rows.append(f"{name}  2.00  {first_year + number}  5.00\n")
    (folder / "INDEX_general_PL_data.2020").write_text("".join(rows))
    return folder
