"""The contents of a file of points, with the errors that name places in it."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from eqcli.errors import InputError, Where
from eqcli.files import require_file

GZIP = b"\x1f\x8b"
CONTROL = frozenset(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")
"""Bytes that no text has; 0x1a ends files of DOS."""
LOOKED_AT = 1 << 16
"""Bytes at the beginning that tell text from anything else."""


@dataclass
class Source:
    """A file in memory, decompressed.

    Attributes
    ----------
    path
        The file.
    data
        Its bytes.
    suffix
        Ending in lower case, without `.gz`.
    compressed
        Whether it was.
    notes
        What readers want to say; they end up in the cloud.
    """

    path: Path
    data: bytes
    suffix: str
    compressed: bool = False
    notes: list[str] = field(default_factory=list)

    def wrong(self, message: str, *, line: int | None = None, byte: int | None = None, hint: str = "") -> InputError:
        """The error for a fault at a line (from 1) or a byte (from 0) of the decompressed contents."""
        place = "" if byte is None else f"byte {byte}: "
        return InputError(place + message, Where(self.path, line=line), hint)

    def line_at(self, byte: int) -> int:
        """Number of the line, from 1, that holds a byte."""
        return self.data.count(b"\n", 0, byte) + 1

    def text(self) -> str:
        """The contents as text. Raises InputError where they are none; damaged letters are kept as signs."""
        if self.data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return self.data.decode("utf-16", errors="replace")
        head = self.data[:LOOKED_AT]
        strange = next((i for i, value in enumerate(head) if value in CONTROL), None)
        if strange is not None:
            raise self.wrong("this is not text, as files of this kind are", line=self.line_at(strange), byte=strange)
        return self.data.decode("utf-8-sig", errors="replace")


def first_line(error: BaseException) -> str:
    """What another package says of a fault, in one short line; the kind of the error where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def open_source(path: Path) -> Source:
    """The file in memory. Raises InputError when it is missing, empty or its compression is damaged."""
    require_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror or error}", Where(path)) from error
    named = path.name.lower().endswith(".gz")
    compressed = data.startswith(GZIP)
    if named and data and not compressed:
        raise InputError("byte 0: this is no gzip file, as its name says", Where(path))
    if compressed:
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"the compressed file is damaged: {error}", Where(path)) from error
    if not data:
        raise InputError("the file is empty", Where(path))
    plain = path.name[:-3] if named else path.name
    return Source(path, data, Path(plain).suffix.lower(), compressed)
