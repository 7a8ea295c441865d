"""Writing structures to a file of any format that can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, refuse_existing
from eqcli.io.formats import FORMATS, writable_format
from eqcli.io.structure import Structure


def write_structures(
    path: str | Path,
    structures: Iterable[Structure],
    *,
    overwrite: bool = False,
    provenance: dict[str, Any] | None = None,
) -> int:
    """Writes structures, one at a time, to a temporary name that becomes `path` when all are there.

    The name tells the format. Formats without room for labels (`FORMATS[...].labels`)
    get the atoms alone. `provenance` is stored where the format has a place for it.

    Returns
    -------
    The number of structures.

    Raises
    ------
    InputError
        The file exists and `overwrite` is false; the format cannot hold these structures; there are none.
    """
    name = writable_format(path)
    refuse_existing(path, overwrite)
    spec = FORMATS[name]
    source = iter(structures) if spec.many else _single(structures, path, name)
    with atomic_path(path) as temporary:
        count: int = import_module(spec.module).write(temporary, source, provenance)
        if count == 0:
            raise InputError("there are no structures to write", Where(path))
    return count


def _single(structures: Iterable[Structure], path: str | Path, name: str) -> Iterator[Structure]:
    for i, structure in enumerate(structures):
        if i == 1:
            raise InputError(
                f"a {name} file holds one structure and there are several",
                Where(path),
                "Write an .extxyz or .h5 file, or choose one frame.",
            )
        yield structure
