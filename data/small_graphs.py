"""The molecules of data/small_molecules as graphs: every sensible one of up to so many heavy atoms, by growth.

A graph of n atoms is one of n - 1 with an atom more, or one of n with a bond more that closes a ring. Growth obeys
rules that every smaller graph on the way obeys too (`loose`), so that none is missed; what chemistry forbids beyond
that (`sensible`) is left out afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from rdkit import Chem, RDLogger
from rdkit.Chem.rdchem import BondType, Mol, RWMol

RDLogger.DisableLog("rdApp.*")

ELEMENTS = {"C": 4, "N": 3, "O": 2, "F": 1, "S": 2}
"""Bonds of each element, hydrogens filling up. Sulphur with four or six bonds is left out, and so are charges."""

ORDERS = {1: BondType.SINGLE, 2: BondType.DOUBLE, 3: BondType.TRIPLE}
MOST = {"F": 3, "S": 1}
MOST_RINGS = 2
SMALL_RING = 5
"""Rings with fewer atoms are strained: one of them in a molecule, and no double bond in it."""


def patterns(*smarts: str) -> list[Mol]:
    return [Chem.MolFromSmarts(text) for text in smarts]


NEVER = patterns(
    "[#8,#16,F]~[#8,#16,F]", "[#7]~[#16,F]",  # of the bonds between heteroatoms, N-N and N-O alone
    "*=*=*",  # allenes, ketenes, isocyanates
    "[#6]=S",
    "C#C[N,O,S,F]", "N#C[O,F]",  # ynols, ynamines, cyanates
    "[N,O,S][CX4]([N,O,S])[N,O,S]",  # ortho acids
    "[CX4](F)[N,O,S]",  # lose hydrogen fluoride
)  # fmt: skip
"""Not in any molecule, nor in one on the way to it."""

UNLIKELY = patterns(
    "[CX4]([OH,NH,NH2])[N,O,S]",  # hemiacetals, and aminals with hydrogen
    "[#6][SH]",  # thiols
    "[OH]C=[C,N]", "[NH,NH2]C=C", "[OH]c:o",  # the minor tautomer: enols, imidic acids, enamines
    "[#6;!$(C-N)]=[NH]", "[CH2]=N[#6]", "[CH2]=NN=C", "O=C-N=[CH]",  # imines that add to themselves; amidines stay
    "C(=[O,N])F",
    "[OH]C(=O)[N,O,S]", "C(=O)[O,S]C=O",  # carbonic and carbamic acids, anhydrides
    "N=N", "N=O",  # outside of aromatic rings
    "[N,O]-[N;!$(N=C)]-*", "[O;!$(ON=C)]-N", "n[O,N]",  # N-N and N-O but in oximes and hydrazones
    "[N,O]C=N[O,N]",
    "[r3]=*", "[r3]:*", "[r4]=;@*", "[r4]:*",
    "[N,O,S;r3]~[N,O,S;r3]", "[N,O,S;r4]1~*~[N,O,S;r4]~*1",
)  # fmt: skip
"""Not in the set: too reactive to be kept in a bottle, or a tautomer of something that is."""


def loose(molecule: Mol) -> bool:
    """Whether larger molecules may contain this one."""
    rings = molecule.GetRingInfo()
    if rings.NumRings() > MOST_RINGS or any(molecule.HasSubstructMatch(pattern) for pattern in NEVER):
        return False
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    if any(symbols.count(symbol) > most for symbol, most in MOST.items()):
        return False
    return not any(bond.GetBondType() == BondType.TRIPLE and bond.IsInRing() for bond in molecule.GetBonds())


def sensible(molecule: Mol) -> bool:
    """Whether a molecule, loose already, belongs to the set."""
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    carbons = symbols.count("C")
    if len(symbols) > 1 and (carbons == 0 or sum(symbol in "NOS" for symbol in symbols) > carbons):
        return False
    if any(molecule.HasSubstructMatch(pattern) for pattern in UNLIKELY) or chained(molecule):
        return False
    rings = [set(ring) for ring in molecule.GetRingInfo().AtomRings()]
    if sum(len(ring) < SMALL_RING for ring in rings) > 1:
        return False
    return not any(unbridgeable(molecule, a & b) for a, b in combinations(rings, 2))


def chained(molecule: Mol) -> bool:
    """Whether three heteroatoms of N and O follow each other outside of an aromatic ring."""
    return any(
        not all(molecule.GetAtomWithIdx(i).GetIsAromatic() for i in match)
        for match in molecule.GetSubstructMatches(Chem.MolFromSmarts("[#7,#8]~[#7]~[#7,#8]"))
    )


def unbridgeable(molecule: Mol, shared: set[int]) -> bool:
    """Whether two rings that share these atoms are bridged with a flat atom at the bridge's end (Bredt's rule)."""
    if len(shared) < 3:
        return False
    return any(bond.GetBondType() != BondType.SINGLE for i in shared for bond in molecule.GetAtomWithIdx(i).GetBonds())


def neighbours(molecule: Mol) -> Iterator[RWMol]:
    """The molecule with one atom more, bound to one of its own in every possible way."""
    for atom in molecule.GetAtoms():
        for symbol, valence in ELEMENTS.items():
            for order in range(1, min(valence, atom.GetTotalNumHs(), 3) + 1):
                grown = RWMol(molecule)
                grown.AddBond(atom.GetIdx(), grown.AddAtom(Chem.Atom(symbol)), ORDERS[order])
                yield grown


def closures(molecule: Mol) -> Iterator[RWMol]:
    """The molecule with one ring more, by a single or a double bond between two of its atoms."""
    free = [atom for atom in molecule.GetAtoms() if atom.GetTotalNumHs()]
    for first, second in combinations(free, 2):
        i, j = first.GetIdx(), second.GetIdx()
        if molecule.GetBondBetweenAtoms(i, j) is not None:
            continue
        for order in range(1, min(first.GetTotalNumHs(), second.GetTotalNumHs(), 2) + 1):
            closed = RWMol(molecule)
            closed.AddBond(i, j, ORDERS[order])
            yield closed


def kekule(smiles: str) -> Mol:
    """The molecule with single, double and triple bonds, free to be edited."""
    molecule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    for atom in molecule.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    molecule.UpdatePropertyCache()
    return molecule


def level(smaller: list[str]) -> list[str]:
    """Canonical SMILES of all loose molecules with one atom more than these, sorted."""
    found: set[str] = set()
    refused: set[str] = set()
    edits = [grown for smiles in smaller for grown in neighbours(kekule(smiles))]
    while edits:
        fresh = []
        for edit in edits:
            Chem.SanitizeMol(edit)
            smiles = Chem.MolToSmiles(edit)
            if smiles in found or smiles in refused:
                continue
            if loose(edit):
                found.add(smiles)
                fresh.append(smiles)
            else:
                refused.add(smiles)
        edits = [closed for smiles in fresh for closed in closures(kekule(smiles))]
    return sorted(found)


def enumerated(complete: int) -> dict[int, list[str]]:
    """Canonical SMILES, without stereochemistry, of the sensible molecules by their number of heavy atoms.

    All of them up to `complete` heavy atoms; of those with one atom more the many that contain a sensible one.
    """
    grown = sorted(ELEMENTS)
    molecules = {1: grown}
    for size in range(2, complete + 2):
        grown = level(grown if size <= complete else molecules[complete])
        molecules[size] = [smiles for smiles in grown if sensible(Chem.MolFromSmiles(smiles))]
    return molecules
