"""GEOM's crude archive, `drugs_crude.msgpack`: a stream of MessagePack maps of molecules under their SMILES.

One molecule is in memory at a time, with all its conformers. The archive states no bonds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from eqcli.errors import InputError, MissingDependency, Where
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.geom import LAYOUT, atomic_numbers, charge, entries

LONGEST = 1 << 22
"""Elements of a list and bytes of a text that are read; the largest molecules have some thousand conformers."""


def read(path: Path) -> Items:
    """A structure per conformer."""
    with path.open("rb") as stream:
        yield from frames(stream, path)


def frames(stream: IO[bytes], path: str | Path) -> Items:
    """The conformers of an open archive. A damaged record ends it, since nothing marks where the next begins."""
    msgpack = _library(path)
    number = 0
    try:
        for smiles, molecule in _molecules(msgpack, stream):
            for item in _conformers(smiles, molecule, Where(path, number)):
                yield item
                number += 1
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        message = f"this is not an archive of GEOM, or it is damaged: {error or type(error).__name__}"
        raise InputError(message, Where(path, number)) from error
    if number == 0:
        raise InputError("the archive holds no molecules", Where(path))


def _library(path: str | Path) -> ModuleType:
    try:
        import msgpack
    except ImportError as error:
        message = "GEOM's archives need the package msgpack"
        raise MissingDependency(message, Where(path), "pip install 'eqcli[molecules]'") from error
    module: ModuleType = msgpack
    return module


def _molecules(msgpack: ModuleType, stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """SMILES and record of each molecule. A map of a thousand molecules is never built as a whole."""
    limits = {f"max_{kind}_len": LONGEST for kind in ("str", "bin", "array", "map", "ext")}
    unpacker = msgpack.Unpacker(stream, raw=False, strict_map_key=False, **limits)
    while True:
        try:
            count = unpacker.read_map_header()
        except msgpack.OutOfData:
            # The end of the stream, unless something of another type or a part of a header is left.
            if unpacker.tell() != stream.tell():
                raise ValueError("it ends within a record") from None
            return
        for _ in range(count):
            try:
                smiles, molecule = unpacker.unpack(), unpacker.unpack()
            except msgpack.OutOfData:
                raise ValueError("it ends within a record") from None
            if not isinstance(smiles, str):
                raise ValueError(f"found {str(smiles)[:40]!r} in the place of a SMILES")
            yield smiles, molecule


def _conformers(smiles: str, molecule: Any, where: Where) -> Iterator[Item]:
    place = Where(where.file, where.frame, key=smiles)
    if isinstance(molecule, list):
        yield InputError("this is the archive of GEOM's features", place, "Name the crude archive.")
        return
    conformers = molecule.get("conformers") if isinstance(molecule, dict) else None
    if not isinstance(conformers, list) or not conformers:
        yield InputError("the molecule has no conformers", place)
        return
    for k, conformer in enumerate(conformers):
        at = Where(where.file, (where.frame or 0) + k, key=smiles)
        try:
            yield _frame(smiles, molecule, conformer, k, at)
        except (ValueError, TypeError, KeyError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            yield InputError(f"conformer {k} is none of GEOM: {what}", at)


def _frame(smiles: str, molecule: dict[Any, Any], conformer: Any, number: int, where: Where) -> Frame:
    if not isinstance(conformer, dict):
        raise ValueError(f"found {type(conformer).__name__}, expected entries with 'xyz'")
    table = np.asarray(conformer["xyz"], dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 4 or not len(table):
        raise ValueError("'xyz' is no list of atomic numbers with three coordinates")
    return Frame(
        numbers=atomic_numbers(table[:, 0]),
        positions=table[:, 1:].copy(),
        pbc=np.zeros(3, dtype=bool),
        info=entries(smiles, molecule, conformer, number),
        charge=charge(molecule),
        where=where,
        implicit_labels="none",
        layout=LAYOUT,
    )
