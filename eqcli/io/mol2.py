"""Tripos MOL2 files, read: one molecule per `@<TRIPOS>MOLECULE`, through RDKit or by the bonds as they are written.

RDKit knows the types of the standard; where a file's types are not of it, or its aromatic bonds have no Kekulé form,
bonds are taken as written: `ar` aromatic, `am` single, charges from `N.4`, `O.co2` and `C.cat`. Partial charges are
no formal charges and are left out. Atoms that lack hydrogens are not radicals: hydrogens may be added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.frame import Items
from eqcli.io.sdf import frame_of
from eqcli.io.text import Lines, is_text, not_text, open_text

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_SECTION = "@<TRIPOS>"
_ORDERS = {"1": 1.0, "2": 2.0, "3": 3.0, "am": 1.0, "ar": 1.5, "un": 1.0, "du": 1.0}
"""Orders of bond types; `nc` is no bond."""


@dataclass(frozen=True)
class Mol2:
    """A molecule of the file: where it begins, its name, its lines, and those of each section."""

    where: Where
    name: str
    lines: list[str]
    sections: dict[str, list[tuple[int, str]]]


def read(path: Path) -> Items:
    """A structure per molecule, bonds in `info["bonds"]`; a molecule that cannot be read is an error in its place."""
    for record in records(path):
        if isinstance(record, InputError):
            yield record
            continue
        try:
            frame = frame_of(molecule_of_mol2(record)[0], record.where)
        except InputError as error:
            yield error
            continue
        frame.info = {**({"name": record.name} if record.name else {}), **frame.info}
        yield frame


def records(path: Path) -> Iterator[Mol2 | InputError]:
    """The molecules of a file, one at a time. Raises InputError where there is none."""
    with open_text(path) as file:
        lines = Lines(path, file)
        number, start = 0, 0
        held: list[str] = []
        while True:
            line = lines.take()
            begins = line is not None and line.startswith(f"{_SECTION}MOLECULE")
            if (line is None or begins) and held:
                yield _record(held, Where(path, number, start))
                number, held = number + 1, []
            if line is None:
                break
            if begins:
                start = lines.number
            if begins or held:
                held.append(line)
        if number == 0:
            raise InputError(f"the file has no {_SECTION}MOLECULE", Where(path))


def _record(lines: list[str], where: Where) -> Mol2 | InputError:
    first = where.line or 1
    sections: dict[str, list[tuple[int, str]]] = {}
    section: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=first):
        if not is_text(line):
            return not_text(Where(where.file, where.frame, number))
        if line.startswith(_SECTION):
            section = sections.setdefault(line[len(_SECTION) :].strip(), [])
        elif line.strip() and not line.startswith("#"):
            section.append((number, line))
    named = len(lines) > 1 and lines[1].strip() not in ("", "****") and not lines[1].startswith(_SECTION)
    return Mol2(where, lines[1].strip() if named else "", lines, sections)


def molecule_of_mol2(record: Mol2) -> tuple[Mol, list[str]]:
    """The molecule, and notes on how it was read; sanitised where RDKit reads it.

    Raises InputError where atoms or bonds are malformed.
    """
    from rdkit import Chem, rdBase

    plain, complete = _as_written(record)
    with rdBase.BlockLogs():
        try:
            block = "\n".join(record.lines) + "\n"
            molecule = Chem.MolFromMol2Block(block, sanitize=True, removeHs=False, cleanupSubstructures=True)
        except (RuntimeError, ValueError):
            molecule = None
    if molecule is None or molecule.GetNumAtoms() != plain.GetNumAtoms():
        return plain, ["RDKit does not read this MOL2 record: bonds are taken as written"]
    if not _has_its_hydrogens(molecule):
        # RDKit takes charges from what the valences lack, which are hydrogens here.
        return plain, ["hydrogens are missing in this MOL2 record: charges are those of its types"]
    molecule.GetConformer().Set3D(True)
    return molecule, [] if complete else ["some atoms of the record are lone pairs: left out"]


def _has_its_hydrogens(molecule: Mol) -> bool:
    atoms = list(molecule.GetAtoms())
    found = any(atom.GetAtomicNum() == 1 for atom in atoms)
    return found and not any(atom.GetNumRadicalElectrons() for atom in atoms)


def _as_written(record: Mol2) -> tuple[Mol, bool]:
    """The molecule by its atoms and bonds, not sanitised; whether every line of an atom was one."""
    from rdkit import Chem
    from rdkit.Geometry import Point3D

    molecule = Chem.RWMol()
    place: dict[str, int] = {}
    types: list[str] = []
    pairs: set[str] = set()
    rows = record.sections.get("ATOM", [])
    if not rows:
        raise InputError("the record has no atoms", record.where)
    conformer = Chem.Conformer()
    conformer.Set3D(True)
    for number, line in rows:
        words = line.split()
        where = Where(record.where.file, record.where.frame, number)
        kind, position = _atom(words, where)
        if kind == "LP":
            pairs.add(words[0])
            continue
        place[words[0]] = molecule.AddAtom(Chem.Atom(_element(kind, where)))
        types.append(kind)
        conformer.SetAtomPosition(place[words[0]], Point3D(*position))
    for number, line in record.sections.get("BOND", []):
        words = line.split()
        if not pairs.intersection(words[1:3]):
            _bond(molecule, place, words, Where(record.where.file, record.where.frame, number))
    _charge(molecule, types)
    molecule.AddConformer(conformer)
    plain: Mol = molecule.GetMol()
    return plain, len(types) == len(rows)


def _atom(words: list[str], where: Where) -> tuple[str, tuple[float, float, float]]:
    try:
        return words[5], (float(words[2]), float(words[3]), float(words[4]))
    except (ValueError, IndexError):
        message = "expected number, name, three coordinates and a type"
        raise InputError(message, where, "Is this a MOL2 file?") from None


def _element(kind: str, where: Where) -> int:
    symbol = kind.split(".")[0]
    number = NUMBERS.get(symbol.capitalize(), 0)
    if number == 0:
        raise InputError(f"the type '{kind[:20]}' is no element", where, "Replace dummy atoms and R groups.")
    return number


def _bond(molecule: Any, place: dict[str, int], words: list[str], where: Where) -> None:
    from eqcli.io.rdkit_build import add_bond

    if len(words) < 4:
        raise InputError("expected number, two atoms and a type of a bond", where)
    kind = words[3].lower()
    if kind == "nc":
        return
    if kind not in _ORDERS:
        raise InputError(f"'{words[3][:20]}' is no type of a bond", where)
    for word in words[1:3]:
        if word not in place:
            raise InputError(f"a bond of atom {word[:20]}, which the record does not have", where)
    add_bond(molecule, (place[words[1]], place[words[2]], _ORDERS[kind]), where)


def _charge(molecule: Any, types: list[str]) -> None:
    """Formal charges of the types that imply them; their aromatic bonds outside rings become single and double."""
    for atom in molecule.GetAtoms():
        ends = [b for b in atom.GetBonds() if types[b.GetOtherAtomIdx(atom.GetIdx())] == "O.co2"]
        if ends and types[atom.GetIdx()] != "O.co2":
            _split(atom, ends, -1)
        if types[atom.GetIdx()] == "C.cat":
            _split(atom, [b for b in atom.GetBonds() if b.GetOtherAtom(atom).GetAtomicNum() == 7], 1)
    for atom in molecule.GetAtoms():
        if types[atom.GetIdx()] == "N.4":
            atom.SetFormalCharge(1)


def _split(centre: Any, bonds: list[Any], charge: int) -> None:
    """One double bond among the given ones, and the charges that go with it."""
    from rdkit.Chem import BondType

    aromatic = [bond for bond in bonds if bond.GetBondType() == BondType.AROMATIC]
    for k, bond in enumerate(aromatic):
        bond.SetBondType(BondType.SINGLE if k else BondType.DOUBLE)
        bond.SetIsAromatic(False)
    for bond in bonds:
        end = bond.GetOtherAtom(centre)
        double = bond.GetBondType() == BondType.DOUBLE
        if end.GetDegree() == 1 and charge < 0 and not double:
            end.SetFormalCharge(-1)
        if charge > 0 and double:
            end.SetFormalCharge(1)
        _settle(end)
    _settle(centre)


def _settle(atom: Any) -> None:
    """An atom without aromatic bonds is not aromatic."""
    atom.SetIsAromatic(any(bond.GetIsAromatic() for bond in atom.GetBonds()))
