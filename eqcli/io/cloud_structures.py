"""Atoms as points: every format of structures, the first structure of the file, in Å."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

import numpy as np

from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.errors import InputError
from eqcli.io.cloud_source import Source
from eqcli.io.formats import FORMATS, format_of
from eqcli.io.point_cloud import PointCloud
from eqcli.io.reading import read_structures
from eqcli.io.structure import Structure

_TABLE_OF_STRUCTURES = re.compile(rb"(?i)(^|,)\s*\"?(cif|structure|poscar)s?\"?\s*(,|\r?$)")


def holds_atoms(source: Source) -> bool:
    """Whether the content of an .xyz, .csv, .npz or .npy file is that of atoms rather than of points."""
    head = source.data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if source.suffix == ".xyz":
        return _is_chemistry(head.decode("latin-1").splitlines())
    if source.suffix == ".csv":
        return bool(_TABLE_OF_STRUCTURES.search(head.split(b"\n", 1)[0]))
    if source.suffix == ".npy":
        return source.path.name.lower().startswith("geom_")
    try:
        names = {Path(name).stem for name in ZipFile(BytesIO(source.data)).namelist()}
    except BadZipFile:
        return False
    return {"nuclear_charges", "coords"} <= names or {"z", "R"} <= names


def _is_chemistry(lines: list[str]) -> bool:
    """A count, a comment, and a row that begins with an element; or a comment that states columns as ASE writes it."""
    if len(lines) < 2 or not lines[0].strip().isdigit():
        return False
    if "Properties=" in lines[1]:
        return True
    words = lines[2].split() if len(lines) > 2 else []
    return len(words) >= 4 and words[0].strip("0123456789_").capitalize() in NUMBERS


def read(source: Source) -> PointCloud:
    """The atoms of the first structure, with `number`, `symbol` and all arrays of the file as fields."""
    found = _first_two(source)
    if not found:
        raise source.wrong("there are no structures in this file", line=1)
    structure = found[0]
    if len(found) > 1:
        source.notes.append("only the first structure of several was taken")
    symbols = np.array([SYMBOLS[z] if 0 <= z < len(SYMBOLS) else "X" for z in structure.numbers])
    fields = {"number": structure.numbers, "symbol": symbols} | structure.arrays
    return PointCloud(
        structure.positions,
        fields={name: a for name, a in fields.items() if np.ndim(a) and len(a) == len(structure)},
        units="Angstrom",
        name=source.path.name,
        path=source.path,
        notes=source.notes,
    )


def _first_two(source: Source) -> list[Structure]:
    if source.compressed and not FORMATS[format_of(source.path.name.lower().removesuffix(".gz"))].gzip:
        return _decompressed(source)
    return list(islice(read_structures(source.path), 2))


def _decompressed(source: Source) -> list[Structure]:
    """For readers that take no compressed files; errors name the file that the person named."""
    with TemporaryDirectory(prefix="eqcli-") as folder:
        plain = Path(folder) / re.sub(r"(?i)\.gz$", "", source.path.name)
        plain.write_bytes(source.data)
        try:
            return list(islice(read_structures(plain), 2))
        except InputError as error:
            raise InputError(error.message, replace(error.where, file=source.path), error.hint) from error
