"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eqcli.errors import InputError, Where


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block succeeds and removed when it fails.

    The temporary name keeps the suffix of `path`, since writers choose formats by it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def move_whole(source: Path, target: Path) -> None:
    """Moves a file to a name under which it is complete or not there, on another file system too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()


LONGEST_STEM = 180
"""Bytes of the names that `file_stem` makes; file systems allow 255, and temporary names are longer."""


def file_stem(name: str, taken: Collection[str] = (), default: str = "unnamed") -> str:
    """A name of anything as that of a file, without an ending and unlike those that are `taken`.

    Names that differ in upper and lower case alone count as alike: they are one file on some systems.
    """
    plain = re.sub(r"[^\w.-]+", "-", name).strip(".-")[:100].encode()[:LONGEST_STEM].decode(errors="ignore") or default
    used = {stem.casefold() for stem in taken}
    own, number = plain, 1
    while own.casefold() in used:
        number += 1
        own = f"{plain}-{number}"
    return own


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Writes JSON, to a temporary name first."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Raises InputError when `path` exists and may not be replaced, or no file can be made there."""
    if Path(path).is_dir():
        raise InputError("this is a folder, and a file is to be written", Where(path), "Name a file in it.")
    if Path(path).exists() and not overwrite:
        raise InputError(
            "this file exists already", Where(path), "Choose another name with -o, or add --overwrite to replace it."
        )
    refuse_unwritable_folder(Path(path).parent)


PROBE = ".eqcli-"
"""How the names of folders begin that are made to see whether that can be done; a kill may leave one."""


def refuse_unwritable_folder(folder: Path) -> None:
    """Raises InputError when nothing can be written into `folder`, or it cannot be made; hours of work may depend."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError("this is a file, and a folder is to be made of this name", Where(there))
    try:
        # Permissions do not tell of read-only disks and of folders that are no storage, nor do they bind root.
        with TemporaryDirectory(prefix=PROBE, dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"nothing can be written into this folder: {error.strerror}", Where(there), "Choose another place with -o."
        ) from error


def require_file(path: str | Path) -> Path:
    """`path` itself when it is a readable file; InputError that names the nearest existing name otherwise."""
    target = Path(path)
    if target.is_file():
        return target
    if target.is_dir():
        raise InputError("this is a folder, not a file", Where(path), "Name a file in it.")
    if target.exists():
        raise InputError("this is a pipe or a device, not a file", Where(path), "Write it into a file first.")
    raise InputError("no such file", Where(path), _similar(target))


def _similar(path: Path) -> str:
    from difflib import get_close_matches

    folder = path.parent
    if not folder.is_dir():
        return f"The folder {folder} does not exist."
    near = get_close_matches(path.name, [p.name for p in folder.iterdir()], n=1)
    return f"Did you mean {folder / near[0]}?" if near else ""


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file; of a folder, that of the names and digests of all files in it."""
    digest = hashlib.sha256()
    if Path(path).is_dir():
        for name in sorted(p for p in Path(path).rglob("*") if p.is_file()):
            digest.update(f"{name.relative_to(path).as_posix()} {sha256(name)}\n".encode())
        return digest.hexdigest()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
