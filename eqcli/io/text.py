"""Lines of a text file with their numbers, read one after the other, with a look ahead."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from eqcli.errors import InputError, Where


@contextmanager
def open_text(path: str | Path) -> Iterator[IO[str]]:
    """A text file, compressed or not. Bytes that are not UTF-8 come as lone surrogates; see `is_text`."""
    source = Path(path)
    if source.name.lower().endswith(".gz"):
        with gzip.open(source, "rt", encoding="utf-8-sig", errors="surrogateescape") as file:
            yield file
    else:
        with source.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            yield file


def read_text(path: str | Path) -> str:
    """The whole file, for formats that are small. Raises InputError where it is damaged or not UTF-8."""
    try:
        with open_text(path) as file:
            text = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"the compressed file is damaged: {error}", Where(path)) from error
    if not is_text(text):
        before = next(i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff")
        raise not_text(Where(path, line=text.count("\n", 0, before) + 1))
    return text


def is_text(line: str) -> bool:
    """Whether a line was valid UTF-8."""
    return line.isascii() or not any("\ud800" <= c <= "\udfff" for c in line)


def not_text(where: Where) -> InputError:
    """The error for a line that was not valid UTF-8."""
    return InputError("this line holds bytes that are not UTF-8 text", where, "Is this a text file of that format?")


class Lines:
    """The lines of a file without their ends; `number` is that of the line taken last, from 1."""

    def __init__(self, path: str | Path, file: IO[str]) -> None:
        self.path = path
        self.number = 0
        self._file = file
        self._ahead: deque[str] = deque()

    def take(self) -> str | None:
        """The next line, or None at the end."""
        line = self._ahead.popleft() if self._ahead else self._read()
        if line is not None:
            self.number += 1
        return line

    def peek(self, offset: int = 0) -> str | None:
        """The line that the `offset`-th call of `take` from here gives."""
        while len(self._ahead) <= offset:
            line = self._read()
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[offset]

    def put_back(self, lines: list[str]) -> None:
        """Undoes the taking of `lines`, given in the order they were taken."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def skip_blank(self) -> None:
        """Moves on to the next line that is not blank."""
        while (line := self.peek()) is not None and not line.strip():
            self.take()

    def _read(self) -> str | None:
        try:
            line = self._file.readline()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            where = Where(self.path, line=self.number + len(self._ahead) + 1)
            raise InputError(f"the compressed file is damaged: {error}", where) from error
        return line.rstrip("\r\n") if line else None
