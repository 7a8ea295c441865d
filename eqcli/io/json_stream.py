"""JSON read value by value, so that a file of gigabytes needs the memory of its largest record."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame
from eqcli.io.text import open_text

CHUNK = 1 << 20
AHEAD = 256
_SPACE = " \t\r\n"


@contextmanager
def open_json(path: Path) -> Iterator[IO[str]]:
    """The text of a file, plain, as `.gz`, or the one `.json` in a `.zip`."""
    if not path.name.lower().endswith(".zip"):
        with open_text(path) as file:
            yield file
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InputError(f"this is not a .zip file, or it is cut off: {error}", Where(path)) from error
    with archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".json") and "__MACOSX" not in name]
        if len(names) != 1:
            raise InputError(f"the archive holds {len(names)} .json files; expected one", Where(path))
        with archive.open(names[0]) as content:
            yield io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape")


def item(record: Any, where: Where, frame: Callable[[Any, Where], Frame]) -> Frame | InputError:
    """The frame of a record, or the error that says why it is none."""
    try:
        return frame(record, where)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        hint = "Expected `atoms` or `structure`, and labels."
        return InputError(f"this record is not a structure: {what}", where, hint)
    except InputError as error:
        return error


class JsonStream:
    """A position in a JSON text; `line` is its line, from 1."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.line = 1
        self._path = path
        self._file = file
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._position = 0

    def peek(self) -> str:
        """The next character that is no space, without taking it; empty at the end."""
        while True:
            start = self._position
            while start < len(self._buffer) and self._buffer[start] in _SPACE:
                start += 1
            self._move(start)
            if start < len(self._buffer):
                return self._buffer[start]
            if not self._refill():
                return ""

    def starts_with(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern matches here, within the next `AHEAD` characters."""
        while len(self._buffer) - self._position < AHEAD and self._refill():
            pass
        return pattern.match(self._buffer, self._position) is not None

    def take(self, character: str) -> bool:
        """Takes the next character if it is this one."""
        if self.peek() != character:
            return False
        self._move(self._position + 1)
        return True

    def value(self) -> Any:
        """The next value. Raises InputError where there is none, or the text ends within it."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except RecursionError as error:
                raise InputError("this JSON is nested too deeply", Where(self._path, line=self.line)) from error
            except ValueError as error:
                if self._refill():
                    continue
                at = self.line + self._buffer.count("\n", self._position, getattr(error, "pos", self._position))
                raise InputError(f"this is not valid JSON: {error}", Where(self._path, line=at)) from error
            # A number at the end of the buffer may go on.
            if end == len(self._buffer) and not isinstance(value, dict | list | str) and self._refill():
                continue
            self._move(end)
            return value

    def elements(self) -> Iterator[tuple[int, Any]]:
        """Line and value of each element of the list that begins here."""
        self.expect("[")
        while not self.take("]"):
            if not self.peek():
                message = "the list is not closed: the file may be cut off"
                raise InputError(message, Where(self._path, line=self.line))
            line = self.line
            yield line, self.value()
            if not self.take(",") and self.peek() not in ("]", ""):
                self.expect(",")

    def keys(self) -> Iterator[str]:
        """The keys of the object that begins here; after each, its value is to be taken."""
        self.expect("{")
        while not self.take("}"):
            key = self.value()
            self.expect(":")
            yield str(key)
            if self.peek() != "}" and not self.take(","):
                self.expect("}")

    def records(self) -> Iterator[tuple[int, Any]]:
        """Line and value of each element of the outermost list, or of each value of a text that has none."""
        if self.peek() == "[":
            yield from self.elements()
            return
        while self.peek():
            line = self.line
            yield line, self.value()

    def expect(self, character: str) -> None:
        """Takes this character. Raises InputError where another stands."""
        if not self.take(character):
            found = f"found '{self.peek()}'" if self.peek() else "the file ends: it may be cut off"
            raise InputError(
                f"this is not valid JSON: expected '{character}', {found}", Where(self._path, line=self.line)
            )

    def _move(self, position: int) -> None:
        self.line += self._buffer.count("\n", self._position, position)
        self._position = position

    def _refill(self) -> bool:
        """Drops what was taken and reads at least as much again as is left."""
        rest = self._buffer[self._position :]
        try:
            more = self._file.read(max(CHUNK, len(rest)))
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise InputError(f"the compressed file is damaged: {error}", Where(self._path, line=self.line)) from error
        self._buffer, self._position = rest + more, 0
        return bool(more)
