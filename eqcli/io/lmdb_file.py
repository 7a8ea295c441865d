"""LMDB files opened to be read, after a check that they are whole: the library would crash on one that is cut off."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where

MAGIC = 0xBEEFC0DE
_PAGE_HEADER = 16
_META = struct.Struct("<IIQQ48s48sQQ")
"""Of a meta page: magic number, version, address, size of the map, two databases, last page, transaction."""
_PAGE_SIZE = struct.Struct("<I")
"""First field of the first database."""


@contextmanager
def open_lmdb(path: Path) -> Iterator[Any]:
    """A read transaction, whose `get(key)` gives bytes or None.

    Raises InputError where the file is no LMDB file or is cut off, or the package `lmdb` is not installed.
    """
    _check_whole(path)
    try:
        import lmdb
    except ImportError as error:
        raise InputError(
            "reading LMDB files needs the package lmdb", Where(path), "Install it with: pip install 'eqcli[lmdb]'"
        ) from error
    try:
        # No lock file is written beside data that may be read-only.
        environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise InputError(f"this LMDB file cannot be opened: {error}", Where(path)) from error
    with environment:
        try:
            with environment.begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise InputError(f"this LMDB file is damaged: {error}", Where(path)) from error


def _check_whole(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = _meta(file.read(_PAGE_HEADER + _META.size))
        if first is None:
            raise InputError("this is not an LMDB file", Where(path))
        page = first[0]
        file.seek(page)
        second = _meta(file.read(_PAGE_HEADER + _META.size))
    newest = max((first, second or first), key=lambda meta: meta[2])
    needed = (newest[1] + 1) * page
    if second is None or size < needed:
        raise InputError(f"this LMDB file is cut off: it has {size} bytes of {needed}", Where(path), "Copy it again.")


def _meta(content: bytes) -> tuple[int, int, int] | None:
    """Page size, last page and transaction of a meta page; None for anything else."""
    if len(content) < _PAGE_HEADER + _META.size:
        return None
    magic, _, _, _, free, _, last, transaction = _META.unpack_from(content, _PAGE_HEADER)
    page = _PAGE_SIZE.unpack_from(free)[0]
    return (page, last, transaction) if magic == MAGIC and page else None
