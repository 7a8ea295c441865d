"""Atoms of a macromolecular file: their elements, and the choice among alternate locations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, atomic_number
from eqcli.io.structure import FloatArray


@dataclass(frozen=True)
class Atom:
    """One atom as a PDB or mmCIF file states it; texts are empty where the file has none."""

    name: str
    altloc: str
    residue: str
    chain: str
    sequence: str
    insertion: str
    position: tuple[float, float, float]
    occupancy: float
    b_factor: float
    number: int
    charge: int
    hetero: bool
    line: int | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """The residue it belongs to, whatever stands there in each alternative."""
        return self.chain, self.sequence, self.insertion


@dataclass(frozen=True)
class Model:
    """The atoms of one model in the file's order, with all alternate locations; its cell and space group."""

    atoms: list[Atom]
    cell: FloatArray | None
    group: str
    where: Where


_BIOPOLYMER = frozenset(
    (
        *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO"),
        *("SER", "THR", "TRP", "TYR", "VAL", "HID", "HIE", "HIP", "CYX", "ACE", "NME", "NMA", "HOH", "WAT"),
        *("A", "C", "G", "U", "I", "DA", "DC", "DG", "DT", "DU", "DI"),
    )
)
"""Residues whose atoms are H, C, N, O, P and S, so that CA is a carbon."""


def element_from_name(name: str, residue: str) -> int | None:
    """Atomic number by the four columns of an atom's name, for files without element columns.

    In the standard residues the first letter is the element. Elsewhere a name that begins in
    its first column has a two-letter symbol where there is one, except names of hydrogens,
    which fill all four columns (`HG11`).
    """
    letters = name.strip().lstrip("0123456789").upper()
    if not letters:
        return None
    if residue in _BIOPOLYMER:
        return atomic_number(letters[0])
    filled = len(name.strip()) == 4 and letters[0] in "HD"
    if name[:1].isalpha() and not filled:
        symbol = letters[:2]
        if symbol.isalpha() and (number := atomic_number(symbol)) is not None:
            return number
    return atomic_number(letters[0])


def choose_conformation(atoms: list[Atom]) -> list[Atom]:
    """Without alternatives: in each residue the one with the highest mean occupancy, the first letter among equals.

    An atom that the chosen alternative lacks is taken from the one with its highest occupancy,
    provided that it belongs to the same kind of residue.
    """
    places: dict[tuple[str, str, str], list[Atom]] = defaultdict(list)
    for atom in atoms:
        places[atom.place].append(atom)
    kept: set[int] = set()
    for members in places.values():
        kept.update(id(atom) for atom in (_one_conformation(members) if any(a.altloc for a in members) else members))
    return [atom for atom in atoms if id(atom) in kept]


def _one_conformation(members: list[Atom]) -> list[Atom]:
    occupancies: dict[str, list[float]] = defaultdict(list)
    for atom in members:
        if atom.altloc:
            occupancies[atom.altloc].append(atom.occupancy)
    chosen = min(occupancies, key=lambda letter: (-float(np.mean(occupancies[letter])), letter))
    residue = next(atom.residue for atom in members if atom.altloc == chosen)
    named: dict[str, list[Atom]] = defaultdict(list)
    for atom in members:
        if atom.residue == residue:
            named[atom.name].append(atom)
    kept: list[Atom] = []
    for same in named.values():
        # Atoms of one name without letters are different atoms (ligands with repeated names).
        kept += [atom for atom in same if not atom.altloc]
        lettered = [atom for atom in same if atom.altloc]
        if lettered:
            kept.append(min(lettered, key=lambda a: (a.altloc != chosen, -a.occupancy, a.altloc)))
    return kept


def to_frame(model: Model) -> Frame:
    """The frame of one model. Periodic only in P 1, see `pdb.read`."""
    chosen = choose_conformation(model.atoms)
    cell, group = model.cell, model.group
    if not chosen:
        raise InputError("a model without atoms", model.where)
    symmetric = cell is not None and group.replace(" ", "").upper() not in ("", "P1")
    frame = Frame(
        numbers=np.array([a.number for a in chosen], dtype=np.int64),
        positions=np.array([a.position for a in chosen]),
        cell=cell,
        pbc=np.zeros(3, dtype=bool) if symmetric or cell is None else None,
        info={"spacegroup": group} if symmetric else {},
        where=model.where,
        angstrom=True,
    )
    frame.arrays = {
        "atom_name": np.array([a.name for a in chosen]),
        "residue_name": np.array([a.residue for a in chosen]),
        "chain": np.array([a.chain for a in chosen]),
        "residue_number": _integers([a.sequence for a in chosen]),
        "occupancy": np.array([a.occupancy for a in chosen]),
        "b_factor": np.array([a.b_factor for a in chosen]),
        "hetero": np.array([a.hetero for a in chosen]),
    }
    if any(a.insertion for a in chosen):
        frame.arrays["insertion_code"] = np.array([a.insertion for a in chosen])
    if any(a.charge for a in chosen):
        frame.arrays["formal_charge"] = np.array([a.charge for a in chosen], dtype=np.int64)
    return frame


def _integers(words: list[str]) -> np.ndarray:
    """Numbers where all are; otherwise the words (numbering beyond 9999 uses letters)."""
    try:
        return np.array([int(word) for word in words], dtype=np.int64)
    except ValueError:
        return np.array(words)
