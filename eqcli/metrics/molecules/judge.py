"""What is right about one generated molecule: stable, valid, connected, and what it is called.

A molecule is judged by the bonds that a rule finds from distances (EDM's convention: `bond_rule`, no formal charges),
or by the bonds and charges that its file states (the convention of models that make bonds: MiDi, EQGAT-diff).
"Valid" means that RDKit sanitises the molecule. That says little alone: atoms with too few bonds pass, and loose
pieces do. So `connected` and `radicals` stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.rdkit_build import AROMATIC, molecule_of
from eqcli.io.rdkit_molecule import sanitised, smiles_of
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.bond_rule import bonds_by_rule
from eqcli.metrics.molecules.fragments import fragments
from eqcli.metrics.molecules.valence import ValenceTable, stable_atoms

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Bonds = Sequence[Sequence[float]]
BondSource = Literal["rule", "own"]


@dataclass(frozen=True)
class Judging:
    """By what a molecule is judged: `rule` or `own` bonds, and a table of valences."""

    bonds: BondSource = "rule"
    valences: ValenceTable = "published"


@dataclass(frozen=True)
class Judgement:
    """What was found out about one molecule.

    Attributes
    ----------
    n_atoms, n_stable
        Atoms, and those whose bonds suit their element.
    stable
        Whether all atoms are stable.
    valid
        Whether RDKit sanitises the whole molecule.
    connected
        Whether the bonds join all atoms; known of invalid molecules too.
    fragments
        Number of pieces.
    smiles
        Canonical SMILES of the largest fragment, with stereochemistry from the positions and hydrogens not written
        as atoms; hydrogens that are missing are not made up (`[CH3]` stays a radical). Empty if invalid.
    whole_smiles
        The same of all fragments.
    charge
        Sum of the formal charges that the structure states, e. The rule's bonds do not look at them.
    valence_errors
        Atoms whose valence RDKit refuses.
    reason
        Why it is invalid, or empty.
    radicals
        Unpaired electrons of a valid molecule: mostly bonds or hydrogens that are missing.
    published_smiles
        The SMILES that EDM compares: of the largest fragment, every hydrogen of the structure an atom, no
        stereochemistry. Only of the rule's bonds; empty otherwise.
    """

    n_atoms: int
    n_stable: int
    stable: bool
    valid: bool
    connected: bool
    fragments: int
    smiles: str
    whole_smiles: str
    charge: int
    valence_errors: int
    reason: str
    radicals: int = 0
    published_smiles: str = ""

    @property
    def valid_and_connected(self) -> bool:
        """Whether it is one molecule, and a possible one."""
        return self.valid and self.connected


def judge(structure: Structure, settings: Judging | None = None) -> Judgement:
    """The judgement of one molecule; a pure function that other processes can be sent.

    Positions that are not finite or atoms that are no element make a molecule invalid.

    Raises
    ------
    InputError
        Its own bonds were asked for, and it states none or bonds of atoms that it has not.
    """
    chosen = settings or Judging()
    bonds, charges = _bonds(structure, chosen.bonds)
    verdict = _without_verdict(structure, bonds)
    if not np.isfinite(structure.positions).all():
        stable_atoms(structure.numbers, bonds)  # Refuses what are no bonds.
        return replace(verdict, reason="a position is not a finite number")
    if ((structure.numbers < 1) | (structure.numbers >= len(SYMBOLS))).any():
        return replace(verdict, reason="an atom is no element")
    molecule = molecule_of(charges, bonds=bonds)
    stable = stable_atoms(
        structure.numbers, _kekulised(molecule, bonds), charges.arrays.get("formal_charge"), chosen.valences
    )
    verdict = replace(verdict, n_stable=int(stable.sum()), stable=bool(stable.all()) and len(stable) > 0)
    return _with_verdict(verdict, molecule, published=chosen.bonds == "rule")


def _bonds(structure: Structure, source: BondSource) -> tuple[Bonds, Structure]:
    """The bonds to judge, and the structure with the charges that go with them."""
    if source == "rule":
        return bonds_by_rule(structure.numbers, structure.positions), replace(structure, arrays={})
    if "bonds" not in structure.info and len(structure) > 1:
        raise InputError("the molecule states no bonds", structure.where, "Judge it by the bond rule.")
    return structure.info.get("bonds") or [], structure


def _without_verdict(structure: Structure, bonds: Bonds) -> Judgement:
    """What can be said of any molecule; it counts as invalid and unstable."""
    charges = structure.arrays.get("formal_charge")
    pieces = fragments(len(structure), bonds)
    return Judgement(
        n_atoms=len(structure),
        n_stable=0,
        stable=False,
        valid=False,
        connected=pieces == 1,
        fragments=pieces,
        smiles="",
        whole_smiles="",
        charge=0 if charges is None else int(np.sum(charges)),
        valence_errors=0,
        reason="",
    )


def _kekulised(molecule: Mol, bonds: Bonds) -> Bonds:
    """The bonds with single and double ones for aromatic ones, where the rings have a Kekulé structure."""
    from rdkit import Chem, rdBase

    if not any(order == AROMATIC for _, _, order in bonds):
        return bonds
    copy = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        try:
            copy.UpdatePropertyCache(strict=False)
            Chem.Kekulize(copy, clearAromaticFlags=True)
        except (ValueError, RuntimeError):
            return bonds
    return [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondTypeAsDouble()) for b in copy.GetBonds()]


def _with_verdict(verdict: Judgement, molecule: Mol, *, published: bool) -> Judgement:
    """The judgement with what RDKit says of the molecule."""
    if verdict.n_atoms == 0:
        return replace(verdict, reason="there are no atoms")
    try:
        clean = sanitised(molecule)
        known = _published_smiles(molecule) if published else ""
    except InputError as error:
        return replace(verdict, valence_errors=_valence_errors(molecule), reason=error.message)
    whole = smiles_of(clean)
    largest = whole if verdict.fragments == 1 else smiles_of(_largest(clean))
    return replace(
        verdict,
        valid=True,
        smiles=largest,
        whole_smiles=whole,
        radicals=sum(atom.GetNumRadicalElectrons() for atom in clean.GetAtoms()),
        published_smiles=known,
    )


def _valence_errors(molecule: Mol) -> int:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        faults = Chem.DetectChemistryProblems(molecule)
    return sum(fault.GetType() == "AtomValenceException" for fault in faults)


def _published_smiles(molecule: Mol) -> str:
    """As EDM writes it. Its atoms may have hydrogens that are not there, which matters to what is aromatic."""
    from rdkit import Chem, rdBase

    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    for atom in copy.GetAtoms():
        atom.SetNoImplicit(False)
    largest = _largest(sanitised(copy))
    with rdBase.BlockLogs():
        return str(Chem.MolToSmiles(largest))


def _largest(molecule: Mol) -> Mol:
    """The fragment with most atoms, hydrogens counted; the first of several."""
    from rdkit import Chem

    pieces: Sequence[Mol] = Chem.GetMolFrags(molecule, asMols=True)
    return max(pieces, key=lambda piece: piece.GetNumAtoms())
