"""The records of ligand files as RDKit molecules, not yet judged, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.io.sdf import molfile_of, records_in
from eqcli.io.smiles import smiles_lines
from eqcli.io.text import Lines, not_text, open_text

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass
class Record:
    """A molecule as a file states it.

    Attributes
    ----------
    molecule
        Not sanitised, or so by its reader.
    name
        Its title, or the file's name and its number.
    given
        Whether its positions are meant as a shape in space.
    source
        For people: the file and the record, or the SMILES.
    where
        The place, for messages.
    notes
        What its reader assumed.
    items
        Data items of the record.
    """

    molecule: Mol
    name: str
    given: bool
    source: str
    where: Where = field(default_factory=Where)
    notes: list[str] = field(default_factory=list)
    items: dict[str, Any] = field(default_factory=dict)


Records = Iterator[Record | InputError]


def records_of(source: str | Path, template: str | None = None) -> Records:
    """The records of a file, by its ending, or of a SMILES. Raises InputError where it is neither."""
    reader = _reader(source, template)
    if reader is None:
        yield _from_smiles(str(source))
        return
    path = require_file(source)
    number = 0
    try:
        for record in reader(path):
            number += 1
            yield record
    except InputError as error:
        yield error
        return
    except OSError as error:
        yield InputError(f"the file cannot be read: {error.strerror or error}", Where(path))
        return
    if number == 0:
        yield InputError("the file has no records", Where(path))


def _reader(source: str | Path, template: str | None) -> Callable[[Path], Records] | None:
    """What reads a file with this name; None for a SMILES."""
    name = Path(source).name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    readers: dict[str, Callable[[Path], Records]] = {
        ".sdf": _molfiles, ".sd": _molfiles, ".mol": _molfiles, ".mdl": _molfiles,
        ".smi": _smiles_file, ".smiles": _smiles_file, ".mol2": _mol2,
        ".pdb": partial(_without_bonds, template=template), ".ent": partial(_without_bonds, template=template),
        ".pdbqt": partial(_without_bonds, template=template),
    }  # fmt: skip
    if ending in readers:
        return readers[ending]
    if isinstance(source, Path) or is_file(source):
        known = ", ".join(readers)
        raise InputError(f"unknown file ending '{ending}' of a ligand", Where(source), f"Known are {known}.")
    return None


def is_file(text: str) -> bool:
    """Whether a text is the name of a file; a long SMILES is none."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _from_smiles(text: str) -> Record:
    words = text.split(maxsplit=1)
    if not words:
        raise InputError("the ligand is empty", hint="Give a file or a SMILES.")
    molecule = parse_smiles(words[0])
    if molecule is None:
        raise InputError(f"'{text[:60]}' is no file, and no SMILES that RDKit can read")
    name = words[1].strip() if len(words) > 1 else words[0]
    return Record(molecule, name, given=False, source=words[0])


def parse_smiles(text: str) -> Mol | None:
    """The molecule of a SMILES, not sanitised, or None."""
    from rdkit import Chem, rdBase

    parameters: Any = Chem.SmilesParserParams()
    parameters.sanitize = False
    parameters.removeHs = False
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text, parameters)


def _smiles_file(path: Path) -> Records:
    for number, (where, words) in enumerate(smiles_lines(path), 1):
        molecule = parse_smiles(words[0]) if words is not None else None
        if words is None:
            yield not_text(where)
        elif molecule is None:
            yield InputError(f"'{words[0][:60]}' is not a SMILES that RDKit can read", where)
        else:
            yield Record(molecule, words[1] or f"{stem(path)}-{number}", False, f"{path}, record {number}", where)


def _molfiles(path: Path) -> Records:
    with open_text(path) as file:
        for number, (start, lines) in enumerate(records_in(Lines(path, file))):
            where = Where(path, number, start)
            try:
                yield _molfile(lines, where, path)
            except InputError as error:
                yield error


def _molfile(lines: list[str], where: Where, path: Path) -> Record:
    number = (where.frame or 0) + 1
    molecule, items, drawn = molfile_of(lines, where)
    title = lines[0].strip() or f"{stem(path)}-{number}"
    return Record(molecule, title, not drawn, f"{path}, record {number}", where, items=items)


def _mol2(path: Path) -> Records:
    from eqcli.io.mol2 import molecule_of_mol2, records

    for item in records(path):
        if isinstance(item, InputError):
            yield item
            continue
        number = (item.where.frame or 0) + 1
        try:
            molecule, notes = molecule_of_mol2(item)
        except InputError as error:
            yield error
            continue
        title = item.name or f"{stem(path)}-{number}"
        yield Record(molecule, title, True, f"{path}, record {number}", item.where, notes)


def _without_bonds(path: Path, template: str | None) -> Records:
    from eqcli.io.pdb_ligand import ligands_of_pdb, ligands_of_pdbqt

    name = path.name.lower().removesuffix(".gz")
    reader = ligands_of_pdbqt if name.endswith(".pdbqt") else ligands_of_pdb
    for number, item in enumerate(reader(path, template), start=1):
        if isinstance(item, InputError):
            yield item
            continue
        molecule, notes, items, where = item
        title = stem(path) if number == 1 else f"{stem(path)}-{number}"
        yield Record(molecule, title, True, f"{path}, record {number}", where, notes, items)


def stem(path: Path) -> str:
    """The name of a file without its endings."""
    name = path.name
    return Path(name[:-3] if name.lower().endswith(".gz") else name).stem
