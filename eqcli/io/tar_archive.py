"""Archives of molecules, `.tar.xz`, `.tar.gz` and `.tar`: read from front to back, never unpacked to disk.

Members that are read are XYZ files, each structure named after its member, and GEOM's MessagePack archive and
pickles; all others are passed over. Structures are in the order of the archive.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from eqcli.errors import InputError, Where
from eqcli.io import extxyz, geom_msgpack, geom_pickle
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.molecule_bytes import MoleculeBytes
from eqcli.io.text import Lines

LARGEST = 1 << 28
"""Bytes of a member that is in memory as a whole."""

DAMAGE = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError)
"""What tarfile and the decompressors raise on a damaged file."""

_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\x00": lzma.open, b"BZh": bz2.open}
"""First bytes of a compressed file -> what opens it."""


def read(path: Path) -> Items:
    """The structures of all members; a damaged member is an error in its place."""
    number = 0
    try:
        with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive, MoleculeBytes() as reader:
            while (member := archive.next()) is not None:
                # Otherwise tarfile remembers every member, a kilobyte each.
                archive.members.clear()  # type: ignore[attr-defined]
                for item in _member(archive, member, path, reader):
                    yield _counted(item, number)
                    number += 1
    except DAMAGE as error:
        raise InputError(f"this is not a tar archive, or it is cut off: {error}", Where(path)) from error
    if number == 0:
        raise InputError("the archive holds no molecules", Where(path), "Expected .xyz files or files of GEOM.")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of the archive without their compression, whose decompressor tells where they are cut off."""
    with path.open("rb") as file:
        first = file.read(8)
    opener = next((opener for magic, opener in _OPENERS.items() if first.startswith(magic)), open)
    with opener(path, "rb") as stream:
        yield stream


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, reader: MoleculeBytes) -> Items:
    place = PurePosixPath(member.name)
    kind = place.suffix.lower()
    content = archive.extractfile(member) if member.isfile() and not place.name.startswith(".") else None
    if content is None or kind not in (".xyz", ".extxyz", ".msgpack", ".pickle"):
        return
    name = f"{path}/{''.join(c if c.isprintable() else '?' for c in member.name)}"
    try:
        if kind == ".msgpack":
            yield from geom_msgpack.frames(content, name)
        elif member.size > LARGEST:
            message = f"this member claims {member.size:,} bytes: it is not opened"
            yield InputError(message, Where(name), f"Members of up to {LARGEST:,} bytes are read.")
        elif kind == ".pickle":
            yield from geom_pickle.frames(content.read(), name, reader)
        else:
            yield from _xyz(content.read(), name, place.stem)
    except InputError as error:
        yield error


def _xyz(content: bytes, name: str, stem: str) -> Items:
    text = content.decode("utf-8-sig", "surrogateescape")
    for item in extxyz.frames(Lines(name, io.StringIO(text))):
        yield replace(item, info={"name": stem, **item.info}) if isinstance(item, Frame) else item


def _counted(item: Item, number: int) -> Item:
    """The item with its number in the archive in place of that in its member."""
    where = replace(item.where, frame=number)
    if isinstance(item, Frame):
        return replace(item, where=where)
    item.where = where
    return item
