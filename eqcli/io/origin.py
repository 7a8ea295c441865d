"""Where the structures of a file come from, as its writer noted it; the counterpart of each format's `write`."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eqcli.errors import InputError
from eqcli.io.extxyz_writer import PROVENANCE_KEY
from eqcli.io.formats import Format, readable_format

HEAD = 1 << 20
"""Characters at the beginning of a text file among which provenance stands."""

_BRIEF = re.compile(r"(?:^|\s)eqcli (\d+\S*)(?: ([0-9a-f]{7,40}))?\s*$")
_REMARK = re.compile(r"^REMARK   6 (.*)$")


def read_origin(path: Path) -> dict[str, Any]:
    """The provenance in a file of structures; empty where it has none, or none that can be read.

    Formats with no room but for a word or two have `eqcli`, the version, and `commit` alone.
    """
    try:
        kind = readable_format(path)
        reader = _READERS.get(kind)
        found = reader(path) if reader is not None else None
    except (InputError, OSError, ValueError, LookupError, RecursionError, zipfile.BadZipFile):
        return {}
    return found if isinstance(found, dict) else {}


def _head(path: Path) -> str:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        return str(file.read(HEAD))


def _dataset(path: Path) -> Any:
    from eqcli.io.store import DatasetFile

    with DatasetFile(path) as file:
        return file.provenance


def _extxyz(path: Path) -> Any:
    from eqcli.io.xyz_header import parse_header

    lines = _head(path).split("\n", 2)
    return parse_header(lines[1]).get(PROVENANCE_KEY) if len(lines) > 1 else None


def _comment(path: Path) -> Any:
    """CIF and mmCIF: the first line is a comment that holds it."""
    first = _head(path).split("\n", 1)[0]
    return json.loads(first.removeprefix("# eqcli ")) if first.startswith("# eqcli {") else None


def _archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive, archive.open("provenance.json") as file:
        return json.loads(file.read(HEAD))


def _remarks(path: Path) -> Any:
    pieces = [match.group(1) for line in _head(path).splitlines() if (match := _REMARK.match(line))]
    text = "".join(pieces)
    return json.loads(text) if text.startswith("{") else None


def _data_item(path: Path) -> Any:
    """SDF: a data item of the first record."""
    record = _head(path).split("$$$$", 1)[0]
    _, _, rest = record.partition(f"<{PROVENANCE_KEY}>")
    return json.loads(rest.split("\n", 2)[1]) if rest else None


def _json(path: Path) -> Any:
    """A list of structures, one on each line, of which the first has it."""
    line = _head(path).split("\n", 2)[1].rstrip().rstrip(",")
    return json.loads(line).get(PROVENANCE_KEY)


def _database(path: Path) -> Any:
    from ase.db import connect

    return connect(str(path), type="db", use_lock_file=False).metadata.get(PROVENANCE_KEY)


def _brief(number: int) -> Callable[[Path], Any]:
    """Version and commit at the end of a line, by its number from 0."""

    def read(path: Path) -> Any:
        match = _BRIEF.search(_head(path).split("\n", number + 1)[number])
        if match is None:
            return None
        return {key: value for key, value in zip(("eqcli", "commit"), match.groups(), strict=True) if value}

    return read


_READERS: dict[Format, Callable[[Path], Any]] = {
    Format.DATASET: _dataset,
    Format.EXTXYZ: _extxyz,
    Format.CIF: _comment,
    Format.MMCIF: _comment,
    Format.CIF_ZIP: _archive,
    Format.POSCAR_ZIP: _archive,
    Format.PDB: _remarks,
    Format.SDF: _data_item,
    Format.JSON: _json,
    Format.ASE_DB: _database,
    Format.POSCAR: _brief(0),
    Format.SMILES: _brief(0),
    Format.MOL: _brief(2),
}
