"""What is done to a molecule before it is docked, each step with a note where it changes or assumes something."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.atom_types import METALS
from eqcli.io.ligand_repair import repaired

if TYPE_CHECKING:
    from rdkit.Chem import Mol

LARGEST = 200
"""Heavy atoms of the largest molecule that counts as a ligand."""

TOGETHER = 0.3
"""Å; atoms nearer than this have no positions worth the name."""
FLAT = 1e-3
"""Å; a drawing has no atom farther from its plane."""


def prepared(molecule: Mol, given: bool) -> tuple[Mol, bool, list[str]]:
    """One molecule with all its hydrogens, sanitised; whether its positions are to be used; and the notes.

    Parameters
    ----------
    molecule
        As read: sanitised or not, with hydrogens or without, with other molecules beside it.
    given
        Whether its positions are meant as a shape in space.

    Raises
    ------
    InputError
        No atoms, no elements, ions alone, too large, or a valence that cannot be.
    """
    notes: list[str] = []
    _check_atoms(molecule)
    molecule = largest_fragment(molecule, notes)
    heavy = sum(atom.GetAtomicNum() > 1 for atom in molecule.GetAtoms())
    if heavy > LARGEST:
        raise InputError(f"{heavy} heavy atoms: ligands have up to {LARGEST}")
    molecule = repaired(molecule, notes)
    given = _in_space(molecule, given, notes)
    molecule = _stereo(molecule, given)
    molecule = _with_hydrogens(molecule, given, notes)
    _remark(molecule, given, notes)
    return molecule, given, notes


def _check_atoms(molecule: Mol) -> None:
    if molecule.GetNumAtoms() == 0:
        raise InputError("the record has no atoms")
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0:
            message = f"atom {atom.GetIdx() + 1} ('{atom.GetSymbol()}') is no element"
            raise InputError(message, hint="Replace dummy atoms and R groups.")
    if all(atom.GetAtomicNum() == 1 for atom in molecule.GetAtoms()):
        raise InputError("the record has hydrogens alone")


def largest_fragment(molecule: Mol, notes: list[str]) -> Mol:
    """The organic fragment with most heavy atoms; the first of those that are as large."""
    from rdkit import Chem

    atoms: list[tuple[int, ...]] = list(Chem.GetMolFrags(molecule))
    elements = [[molecule.GetAtomWithIdx(i).GetAtomicNum() for i in fragment] for fragment in atoms]
    best = max(range(len(atoms)), key=lambda k: (*_rank(elements[k]), -k))
    if _rank(elements[best])[0] == 0:
        names = ", ".join(_counted([_ion(molecule, fragment) for fragment in atoms]))
        raise InputError(f"there is no molecule to dock, only {names}", hint="Ions and metals belong to the receptor.")
    if len(atoms) == 1:
        return molecule
    others = [fragment for k, fragment in enumerate(atoms) if k != best]
    notes.append("left out beside the largest fragment: " + ", ".join(_counted([_called(molecule, f) for f in others])))
    kept = set(atoms[best])
    smaller = Chem.RWMol(molecule)
    smaller.BeginBatchEdit()
    for i in range(molecule.GetNumAtoms()):
        if i not in kept:
            smaller.RemoveAtom(i)
    smaller.CommitBatchEdit()
    plain: Mol = smaller.GetMol()
    return plain


def _rank(elements: list[int]) -> tuple[int, int]:
    """2 with carbon, 1 with two heavy atoms that are no metals (phosphate), or else 0; and the heavy atoms."""
    heavy = [z for z in elements if z > 1]
    others = [z for z in heavy if z not in METALS]
    if 6 in heavy and len(heavy) > 1:
        return 2, len(heavy)
    return (1 if len(others) > 1 else 0), len(heavy)


def _counted(names: list[str]) -> list[str]:
    return [f"{count} {name}" if count > 1 else name for name, count in Counter(names).items()]


def _ion(molecule: Mol, fragment: tuple[int, ...]) -> str:
    heavy = [molecule.GetAtomWithIdx(i) for i in fragment if molecule.GetAtomWithIdx(i).GetAtomicNum() > 1]
    if len(heavy) != 1:
        return _called(molecule, fragment)
    charge = heavy[0].GetFormalCharge()
    sign = "" if charge == 0 else ("+" if charge > 0 else "-")
    symbol = SYMBOLS[heavy[0].GetAtomicNum()]
    hydrogens = heavy[0].GetTotalNumHs(includeNeighbors=True) if _has_counts(molecule) else 0
    if symbol == "O" and charge == 0:
        return "water"
    return f"{symbol}{'' if not hydrogens else f'H{hydrogens}'}{abs(charge) if abs(charge) > 1 else ''}{sign}"


def _has_counts(molecule: Mol) -> bool:
    return not molecule.NeedsUpdatePropertyCache()


def _called(molecule: Mol, fragment: tuple[int, ...]) -> str:
    """What a fragment is called in notes: an ion or water by name, anything else by its SMILES."""
    from rdkit import Chem, rdBase

    if sum(molecule.GetAtomWithIdx(i).GetAtomicNum() > 1 for i in fragment) == 1:
        return _ion(molecule, fragment)
    with rdBase.BlockLogs():
        copy = Chem.Mol(molecule)
        copy.UpdatePropertyCache(strict=False)
        heavy = [i for i in fragment if molecule.GetAtomWithIdx(i).GetAtomicNum() > 1]
        return str(Chem.MolFragmentToSmiles(copy, heavy or list(fragment), isomericSmiles=False))


def _in_space(molecule: Mol, given: bool, notes: list[str]) -> bool:
    """Whether the positions are a shape: not where they are a drawing, or lie upon each other."""
    if not given or molecule.GetNumConformers() == 0:
        if molecule.GetNumConformers():
            notes.append("the record is a drawing (2D): a shape was generated")
        return False
    positions = molecule.GetConformer().GetPositions()
    if len(positions) > 1 and (not np.isfinite(positions).all() or _nearest(positions) < TOGETHER):
        notes.append("atoms lie upon each other: a shape was generated")
        return False
    if np.ptp(positions[:, 2]) < FLAT and any(_is_tetrahedral(atom) for atom in molecule.GetAtoms()):
        notes.append("all atoms lie in one plane (2D): a shape was generated")
        return False
    molecule.GetConformer().Set3D(True)
    return True


def _nearest(positions: Any) -> float:
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(positions).query(positions, k=2)
    return float(distances[:, 1].min())


def _is_tetrahedral(atom: Any) -> bool:
    from rdkit.Chem import HybridizationType

    return bool(atom.GetHybridization() == HybridizationType.SP3 and atom.GetDegree() > 2)


def _stereo(molecule: Mol, given: bool) -> Mol:
    """Stereochemistry from positions in space, or from the wedges and the double bonds of a drawing."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        if given:
            Chem.AssignStereochemistryFrom3D(molecule)
        elif molecule.GetNumConformers():
            Chem.AssignChiralTypesFromBondDirs(molecule)
            Chem.SetDoubleBondNeighborDirections(molecule, molecule.GetConformer())
            Chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
    return molecule


def _with_hydrogens(molecule: Mol, given: bool, notes: list[str]) -> Mol:
    from rdkit import Chem

    if not given:
        molecule.RemoveAllConformers()
    before = molecule.GetNumAtoms()
    complete: Mol = Chem.AddHs(molecule, addCoords=given)
    added = complete.GetNumAtoms() - before
    stated = sum(atom.GetAtomicNum() == 1 for atom in molecule.GetAtoms())
    if added and (given or stated):
        notes.append(f"{added} hydrogens added to the {stated} of the record")
    return complete


def _remark(molecule: Mol, given: bool, notes: list[str]) -> None:
    """Notes on what is kept as it stands."""
    from rdkit import Chem

    charge = Chem.GetFormalCharge(molecule)
    if charge:
        notes.append(f"the charge {charge:+d} is taken as given")
    radicals = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    if radicals:
        notes.append(f"radical electrons are kept: {radicals}")
    isotopes = sum(atom.GetIsotope() > 0 for atom in molecule.GetAtoms())
    if isotopes:
        notes.append(f"isotopes of {isotopes} atoms are kept, and change nothing")
    if not given:
        unknown = _unspecified(molecule)
        if unknown:
            notes.append(f"stereochemistry is not stated at {', '.join(unknown)}: the generated shape decides")


def _unspecified(molecule: Mol) -> list[str]:
    from rdkit import Chem

    found = []
    for place in Chem.FindPotentialStereo(molecule):
        if place.specified != Chem.StereoSpecified.Unspecified:
            continue
        if place.type == Chem.StereoType.Atom_Tetrahedral:
            found.append(f"atom {place.centeredOn + 1} ({molecule.GetAtomWithIdx(place.centeredOn).GetSymbol()})")
        elif place.type == Chem.StereoType.Bond_Double:
            bond = molecule.GetBondWithIdx(place.centeredOn)
            found.append(f"the double bond of atoms {bond.GetBeginAtomIdx() + 1} and {bond.GetEndAtomIdx() + 1}")
    return found
