"""Ligands from files without bonds, PDB and PDBQT: a SMILES gives the bonds, or they are found from positions.

With a template the file gives elements and positions alone: heavy atoms near enough to be bonded must form the
template's graph. Hydrogens of the file are kept as far as the template has them, and the others are added. Poses in
PDBQT that Meeko prepared carry their SMILES with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import COVALENT_RADII
from eqcli.errors import InputError, Where
from eqcli.io import pdb, pdbqt
from eqcli.io.frame import Frame
from eqcli.io.ligand_rules import largest_fragment
from eqcli.io.rdkit_molecule import molecule_of, sanitised, with_bonds
from eqcli.io.receptor_residues import AMINO_ACIDS
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol

STRETCH = 1.25
"""Atoms nearer than this times the sum of their covalent radii are bonded."""

CHARGES = (0, 1, -1, 2, -2, -3)
"""Of the whole molecule, tried in turn where no template says it."""

SECONDS = 10.0

TEMPLATE_HINT = "Give the ligand's SMILES as a template, or an SD file."

Found = tuple["Mol", list[str], dict[str, Any], Where]
"""A molecule with positions, notes, data items and its place."""


def ligands_of_pdb(path: Path, template: str | None) -> Iterator[Found | InputError]:
    """The molecule of each model of a PDB file."""
    for item in pdb.read(path):
        yield _found(item, template, pdbqt_file=False)


def ligands_of_pdbqt(path: Path, template: str | None) -> Iterator[Found | InputError]:
    """The molecule of each model of a PDBQT file; its own SMILES is the template where none is given."""
    for item in pdbqt.read(path):
        yield _found(item, template, pdbqt_file=True)


def _found(item: Any, template: str | None, *, pdbqt_file: bool) -> Found | InputError:
    if isinstance(item, InputError):
        return item
    frame: Frame = item
    kept = {name: frame.info[name] for name in ("score",) if name in frame.info}
    own = frame.info.get("smiles") if pdbqt_file else None
    structure = Structure(frame.numbers, frame.positions, where=frame.where)
    try:
        if template is None and own is None:
            molecule, notes = _perceived(structure, frame, pdbqt_file)
        else:
            molecule, notes = from_template(structure, str(template or own))
    except InputError as error:
        return InputError(error.message, error.where if str(error.where) else frame.where, error.hint)
    return molecule, notes, kept, frame.where


def from_template(structure: Structure, smiles: str) -> tuple[Mol, list[str]]:
    """The molecule of a SMILES with the positions of a structure, and notes.

    Raises
    ------
    InputError
        It is no SMILES, or no molecule of the structure has its heavy atoms bonded in the same way.
    """
    pattern = _template(smiles)
    graph, heavy = _skeleton(structure)
    match, left = _matched(pattern, graph, structure.where)
    notes = ["bonds and charges are those of the template"]
    if left:
        notes.append(f"{left} heavy atoms of the file are not in the template: left out")
    return _placed(pattern, structure, heavy[list(match)], notes), notes


def _template(smiles: str) -> Mol:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise InputError(f"the template '{smiles[:60]}' is not a SMILES that RDKit can read")
    pattern: Mol = Chem.RemoveAllHs(largest_fragment(molecule, []))
    return pattern


def _skeleton(structure: Structure) -> tuple[Mol, NDArray[np.int64]]:
    """The heavy atoms with single bonds where they are near, and their numbers in the structure."""
    heavy = np.flatnonzero(structure.numbers > 1)
    numbers, positions = structure.numbers[heavy], structure.positions[heavy]
    radii = np.asarray(COVALENT_RADII)[numbers]
    near = np.linalg.norm(positions[:, None] - positions[None], axis=2) < STRETCH * (radii[:, None] + radii[None])
    bonds = [(int(i), int(j), 1) for i, j in np.argwhere(np.triu(near, k=1))]
    return molecule_of(Structure(numbers, positions), bonds=bonds), heavy


def _matched(pattern: Mol, graph: Mol, where: Where) -> tuple[tuple[int, ...], int]:
    """For each atom of the template that of the graph, in a molecule of the same size; and the atoms left over."""
    from rdkit import Chem

    plain = _unlabelled(pattern)
    pieces = Chem.GetMolFrags(graph)
    for piece in pieces:
        if len(piece) != plain.GetNumAtoms():
            continue
        for match in graph.GetSubstructMatches(plain, uniquify=True, maxMatches=1000):
            if set(match) == set(piece):
                return match, graph.GetNumAtoms() - len(piece)
    sizes = sorted((len(piece) for piece in pieces), reverse=True)
    found = ", ".join(str(size) for size in sizes[:5])
    if plain.GetNumAtoms() in sizes:
        raise InputError("the file's atoms are not bonded as those of the template", where)
    message = f"the template has {plain.GetNumAtoms()} heavy atoms, and the molecules of the file have {found}"
    raise InputError(message, where)


def _unlabelled(molecule: Mol) -> Mol:
    """Its heavy atoms with single bonds, no charges and no stereochemistry."""
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), 1) for bond in molecule.GetBonds()]
    return molecule_of(Structure(numbers, np.zeros((len(numbers), 3))), bonds=bonds)


def _placed(pattern: Mol, structure: Structure, atoms: NDArray[np.int64], notes: list[str]) -> Mol:
    """The template at the positions of the atoms, with the hydrogens of the file that it has room for."""
    from rdkit import Chem

    molecule = Chem.RWMol(pattern)
    hydrogens, lost = _hydrogens(pattern, structure, atoms)
    if lost:
        notes.append(f"{lost} hydrogens of the file have no place in the template: left out")
    for parent, _ in hydrogens:
        new = molecule.AddAtom(Chem.Atom(1))
        molecule.AddBond(parent, new, Chem.BondType.SINGLE)
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() > 1:
            kept = sum(parent == atom.GetIdx() for parent, _ in hydrogens)
            atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - kept))
    order = np.concatenate([atoms, np.array([h for _, h in hydrogens], dtype=np.int64)])
    conformer = Chem.Conformer(len(order))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(structure.positions[order]))
    molecule.RemoveAllConformers()
    molecule.AddConformer(conformer)
    return sanitised(molecule.GetMol())


def _hydrogens(pattern: Mol, structure: Structure, atoms: NDArray[np.int64]) -> tuple[list[tuple[int, int]], int]:
    """Hydrogens of the file with the template atom that each is bonded to; and how many have too many beside them."""
    light = np.flatnonzero(structure.numbers == 1)
    room = [atom.GetTotalNumHs() for atom in pattern.GetAtoms()]
    placed: list[tuple[int, int]] = []
    lost = 0
    for h in light.tolist():
        distances = np.linalg.norm(structure.positions[atoms] - structure.positions[h], axis=1)
        parent = int(distances.argmin())
        reach = STRETCH * (COVALENT_RADII[1] + COVALENT_RADII[int(structure.numbers[atoms[parent]])])
        if distances[parent] >= reach:
            continue
        if room[parent] > 0:
            room[parent] -= 1
            placed.append((parent, h))
        else:
            lost += 1
    return placed, lost


def _perceived(structure: Structure, frame: Frame, pdbqt_file: bool) -> tuple[Mol, list[str]]:
    """The molecule with bonds from positions alone."""
    residues = {str(name) for name in frame.arrays.get("residue_name", ())}
    if residues and residues <= set(AMINO_ACIDS) and not pdbqt_file:
        raise InputError("the file has residues of a peptide and no bonds", frame.where, TEMPLATE_HINT)
    if pdbqt_file or not (structure.numbers == 1).any():
        what = "no nonpolar hydrogens" if pdbqt_file else "no hydrogens"
        raise InputError(f"the file has {what} and no bonds, and no template gives them", frame.where, TEMPLATE_HINT)
    for charge in CHARGES:
        try:
            found = with_bonds(structure, charge=charge, timeout=SECONDS)
        except InputError:
            continue
        molecule = sanitised(molecule_of(found))
        if not any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
            return molecule, [f"bonds were found from positions, for the charge {charge:+d}"]
    message = "no bonds fit the positions for any charge from -3 to 2"
    raise InputError(message, frame.where, TEMPLATE_HINT)
