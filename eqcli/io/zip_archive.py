"""Archives with a file per structure, as the field publishes generated crystals: read and written member by member.

Nothing is unpacked to disk. The order is that of the names with their numbers counted (`gen_2` before `gen_10`).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.io import cif, extxyz, poscar
from eqcli.io.crystal_formula import reduced_formula
from eqcli.io.formats import FORMATS, Format, format_of
from eqcli.io.frame import Frame, Item, Items, plain
from eqcli.io.structure import Structure
from eqcli.io.text import Lines, is_text, not_text

PROVENANCE = "provenance.json"
LARGEST = 1 << 26
"""Bytes that a member may have; files of crystals have kilobytes."""

DENSEST = 200
"""Times that a member of more than `SMALL` bytes may shrink; text of crystals shrinks 3 to 20 times."""

SMALL = 1 << 20

READ = (Format.CIF, Format.MMCIF, Format.POSCAR, Format.EXTXYZ)
REFUSED = (Format.SDF, Format.MOL, Format.PDB)
"""Structures, but not of the kinds that are read from archives; members of all other kinds are passed over."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member written, so that the same structures give the same bytes."""


def read(path: Path) -> Items:
    """The structures of all members that are CIF, POSCAR or XYZ files; a damaged member is an error in its place."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise InputError(f"this is not a .zip file, or it is cut off: {error}", Where(path)) from error
    with archive:
        members = _structure_files(archive)
        if not members:
            raise InputError("no member of this archive is a structure file", Where(path), "Expected .cif or POSCAR.")
        _refuse_overlaps(archive, path)
        number = 0
        for member, kind in members:
            for item in _member(archive, member, kind, path):
                yield _counted(item, number)
                number += 1


def _structure_files(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, Format]]:
    found = []
    for member in archive.infolist():
        place = PurePosixPath(member.filename)
        if member.is_dir() or "__MACOSX" in place.parts or place.name.startswith("."):
            continue
        try:
            kind = format_of(place.name)
        except InputError:
            continue
        if kind in READ + REFUSED:
            found.append((member, kind))
    return sorted(found, key=lambda pair: _natural(pair[0].filename))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts numbers within names by their value."""
    parts = re.split(r"(\d{1,18})", name, flags=re.ASCII)
    return [(False, int(part), "") if k % 2 else (True, 0, part) for k, part in enumerate(parts)]


def _refuse_overlaps(archive: zipfile.ZipFile, path: Path) -> None:
    """Members that share their bytes are how a small archive becomes an endless one."""
    if sum(member.compress_size for member in archive.infolist()) > path.stat().st_size:
        raise InputError("the members of this archive overlap: it is made to grow without end", Where(path))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: Format, path: Path) -> Items:
    name = "".join(c if c.isprintable() else "?" for c in member.filename)
    where = Where(f"{path}/{name}")
    try:
        yield from _parsed(kind, str(where.file), _text(archive, member, kind, where))
    except InputError as error:
        yield error


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: Format, where: Where) -> str:
    if kind in REFUSED or member.filename.lower().endswith(".gz"):
        raise InputError("a file of this kind is not read from an archive", where, "Unpack the archive first.")
    dense = member.file_size > max(SMALL, DENSEST * member.compress_size)
    if member.file_size > LARGEST or dense:
        message = f"this member claims {member.file_size:,} bytes, packed in {member.compress_size:,}: it is not opened"
        raise InputError(message, where, f"Members of up to {LARGEST:,} bytes are read.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("this member is compressed in a way that is not read", where, "Pack it with plain zip.")
    try:
        with archive.open(member) as file:
            # The size keeps a member that gives more than it claims from being inflated as a whole.
            content = file.read(member.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"this member cannot be read: {error}", where, "The archive may be damaged.") from error
    text = content.decode("utf-8-sig", "surrogateescape")
    if not is_text(text):
        raise not_text(where)
    return text


def _parsed(kind: Format, name: str, text: str) -> Items:
    if kind is Format.POSCAR:
        yield poscar.parse(name, text)
    elif kind is Format.EXTXYZ:
        yield from extxyz.frames(Lines(name, io.StringIO(text)))
    else:
        yield from cif.read_text_of(Path(name), text)


def _counted(item: Item, number: int) -> Item:
    """The item with its number in the archive in place of that in its member."""
    where = replace(item.where, frame=number)
    return replace(item, where=where) if isinstance(item, Frame) else _moved(item, where)


def _moved(item: Structure | InputError, where: Where) -> Structure | InputError:
    item.where = where
    return item


def write(
    path: Path,
    structures: Iterable[Structure],
    provenance: dict[str, Any] | None,
    kind: Format,
    text: Callable[[Structure, int], str],
) -> int:
    """Writes a member per structure, `0001_CaTiO3.cif` and so on, made by `text(structure, number)`.

    Provenance is a member of its own, the first. Returns the number of structures.
    """
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if provenance:
            _add(archive, PROVENANCE, json.dumps(plain(provenance), indent=1) + "\n")
        for structure in structures:
            _add(archive, member_name(structure, count, FORMATS[kind].suffixes[0]), text(structure, count))
            count += 1
    return count


def member_name(structure: Structure, number: int, suffix: str) -> str:
    """The name of the file of a structure that is the `number`-th from 0, e.g. `0001_CaTiO3.cif`."""
    return f"{number + 1:04d}_{reduced_formula(structure.numbers)[:60]}{suffix}"


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    archive.writestr(member, text)
