"""The pairs of receptor and ligand that are docked: from options, or one by one from the rows of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.tasks.dock_place import Place, parse_place

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand

NEEDED = ("receptor", "ligand")
COLUMNS = (*NEEDED, "name", "pocket", "record", "template")
"""Columns of a table; the first two are needed."""


@dataclass(frozen=True)
class Source:
    """One row of a table: a receptor and a ligand's file or SMILES, which may hold many ligands.

    Attributes
    ----------
    row
        From 1.
    record
        Which record of the file, from 0; all of them when None.
    error
        What is wrong with the row itself.
    """

    row: int
    receptor: Path
    ligand: str
    name: str = ""
    place: Place | None = None
    record: int | None = None
    template: str | None = None
    error: InputError | None = None


@dataclass(frozen=True)
class Pair:
    """A receptor and one ligand, or why there is none.

    Attributes
    ----------
    source
        Where it comes from.
    record
        Record in the ligand's file, from 0; None where the row as a whole is wrong.
    """

    source: Source
    record: int | None
    ligand: Ligand | InputError = field(repr=False)

    @property
    def key(self) -> tuple[int, int | None]:
        """What tells pairs of one screen apart."""
        return self.source.row, self.record

    @property
    def name(self) -> str:
        """The name that was given, with the number of the record behind it where the file has several; else its own."""
        given = self.source.name
        if given:
            return given if self.source.record is not None or not self.record else f"{given}-{self.record + 1}"
        if isinstance(self.ligand, InputError):
            return Path(self.source.ligand).stem if self.record is None else f"{self.source.ligand} {self.record + 1}"
        return self.ligand.name


def sources_of(receptor: Path, ligands: Sequence[str], place: Place | None, template: str | None) -> Iterator[Source]:
    """One source for each ligand that was named on the command line. Raises InputError for a file that is missing."""
    require_file(receptor)
    for row, ligand in enumerate(ligands, start=1):
        _require_ligand(ligand)
        yield Source(row, receptor, ligand, place=place, template=template)


def read_table(
    path: Path,
    *,
    margin: float | None = None,
    receptor: Path | None = None,
    place: Place | None = None,
    template: str | None = None,
) -> Iterator[Source]:
    """The rows of a table, one at a time; a row that makes no sense has its error.

    Files are named from the folder of the table, or else from the folder that the command runs in.

    Parameters
    ----------
    margin
        Å around reference ligands and residues.
    receptor, place, template
        For rows that say nothing of them.

    Raises
    ------
    InputError
        The file is missing, is no text, or lacks a column.
    """
    with require_file(path).open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file)
            _check_columns(path, [(name or "").strip() for name in reader.fieldnames or ()], receptor)
            reader.fieldnames = [(name or "").strip() for name in reader.fieldnames or ()]
            for row, values in enumerate(reader, start=1):
                cells = {name: (values.get(name) or "").strip() for name in COLUMNS}
                where = Where(path, line=reader.line_num)
                yield _source(row, cells, where, margin, receptor, place, template)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"this is no CSV table: {error}", Where(path)) from error


def _check_columns(path: Path, header: Sequence[str], receptor: Path | None) -> None:
    missing = [name for name in NEEDED if name not in header and not (name == "receptor" and receptor)]
    if missing:
        raise InputError(
            f"this table has no column {' and no column '.join(missing)}",
            Where(path, line=1),
            f"Columns are {', '.join(COLUMNS)}; the first two are needed.",
        )


def _source(
    row: int,
    cells: Mapping[str, str],
    where: Where,
    margin: float | None,
    receptor: Path | None,
    place: Place | None,
    template: str | None,
) -> Source:
    folder = Path(where.file or ".").parent
    protein = _beside(folder, cells["receptor"]) if cells["receptor"] else receptor or Path()
    ligand = str(_beside(folder, cells["ligand"])) if _is_file(folder, cells["ligand"]) else cells["ligand"]
    try:
        if not cells["receptor"] and receptor is None:
            raise InputError("this row names no receptor", where)
        if not ligand:
            raise InputError("this row names no ligand", where)
        number = _record(cells["record"], where)
        pocket = parse_place(cells["pocket"], margin, folder) if cells["pocket"] else place
        require_file(protein)
        _require_ligand(ligand)
        return Source(row, protein, ligand, cells["name"], pocket, number, cells["template"] or template)
    except InputError as error:
        return Source(row, protein, ligand, cells["name"], error=error)


def _record(text: str, where: Where) -> int | None:
    """The column `record` counts from 1."""
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"record '{text}': a number from 1 was expected", where)
    return int(text) - 1


def _is_file(folder: Path, name: str) -> bool:
    return bool(name) and _beside(folder, name).is_file()


def _beside(folder: Path, name: str) -> Path:
    """The file beside the table, or that of the same name from here."""
    near = folder / name
    try:
        return near if near.exists() or not Path(name).exists() else Path(name)
    except OSError:  # a SMILES too long for a file name
        return near


def _require_ligand(text: str) -> None:
    """Raises InputError where a text looks like the name of a file that is not there; a SMILES is judged when read."""
    ending = Path(text.removesuffix(".gz")).suffix.lower()
    known = (".sdf", ".sd", ".mol", ".mol2", ".mdl", ".pdb", ".ent", ".pdbqt", ".smi", ".smiles", ".cif")
    if ending in known:
        require_file(text)


def pairs_of(source: Source, done: int = 0) -> Iterator[Pair]:
    """The pairs of a source in order, without the first `done` of them, which an earlier run has ended."""
    if source.record is not None or source.error is not None:
        return islice(_all_pairs(source, 0), done, None)
    return _all_pairs(source, done)


def _all_pairs(source: Source, skip: int) -> Iterator[Pair]:
    if source.error is not None:
        yield Pair(source, None, source.error)
        return
    met = skip > 0
    for record, ligand in _records(source, max(skip, source.record or 0)):
        if record is None and met:
            return  # The file as a whole cannot be read, and an earlier run has said so.
        if source.record is None or record in (source.record, None):
            met = True
            yield Pair(source, record, ligand)
        if record == source.record:
            return
    if not met:
        number = (source.record or 0) + 1
        yield Pair(source, None, InputError(f"there is no record {number} in it", Where(source.ligand)))


def _records(source: Source, skip: int) -> Iterator[tuple[int | None, Ligand | InputError]]:
    """The records of a ligand's file with their numbers, from `skip` on; an error that ends the reading comes last."""
    from eqcli.io.ligand import read_ligands

    path = Path(source.ligand) if _is_file(Path(), source.ligand) else source.ligand
    record: int | None = None
    try:
        for record, ligand in enumerate(read_ligands(path, template=source.template, skip=skip), start=skip):
            yield record, ligand
    except InputError as error:
        yield None if record is None else record + 1, error
