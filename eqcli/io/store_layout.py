"""The dataset file: HDF5, ragged arrays as flat data plus offsets.

`frames/offset[i]` is the number of atoms in frames 0 to i, so that frame i is the rows
`offset[i-1]:offset[i]` of every dataset under `atoms`. It is written last: a frame is in
the file when its offset is. NaN, or -1 for `fixed`, stands for an absent label.
`frames/blob_offset` divides `blob/data` in the same way: JSON bytes of all that is rarer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.frame import plain
from eqcli.io.structure import FloatArray, Structure

FORMAT = "eqcli-dataset"
VERSION = 1

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version n -> function that turns a header of version n into one of version n + 1."""


@dataclass(frozen=True)
class Column:
    """One dataset: its name, element type, shape past the first axis, unit and rows per chunk.

    Reading any row decompresses its chunk: small chunks make random access fast.
    """

    name: str
    dtype: str
    tail: tuple[int, ...] = ()
    units: str = ""
    chunk: int = 512


OFFSET = Column("frames/offset", "<i8", chunk=4096)
BLOB_OFFSET = Column("frames/blob_offset", "<i8", chunk=4096)
BLOB = Column("blob/data", "u1", chunk=32768)

ATOM_COLUMNS = (
    Column("atoms/numbers", "u1", chunk=4096),
    Column("atoms/positions", "<f8", (3,), "Angstrom", 512),
    Column("atoms/forces", "<f8", (3,), "eV/Angstrom", 512),
    Column("atoms/fixed", "i1", chunk=4096),
)
FRAME_COLUMNS = (
    Column("frames/cell", "<f8", (3, 3), "Angstrom", 256),
    Column("frames/pbc", "u1", (3,), chunk=2048),
    Column("frames/energy", "<f8", (), "eV", 2048),
    Column("frames/stress", "<f8", (6,), "eV/Angstrom^3", 256),
    Column("frames/charge", "<f8", (), "e", 2048),
)
COLUMNS = (*ATOM_COLUMNS, *FRAME_COLUMNS, BLOB, BLOB_OFFSET, OFFSET)
"""Every dataset; `frames/offset` last."""

KEY = Column("frames/key", "<i8", chunk=4096)
"""A number for each frame, in files that are made with it."""

Rows = dict[str, NDArray[Any]]
"""Rows to add to the datasets, by name."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def columns_of(file: h5py.File) -> tuple[Column, ...]:
    """The datasets of a file; `frames/offset` last."""
    return (KEY, *COLUMNS) if KEY.name in file else COLUMNS


def create(path: Path, provenance: dict[str, Any] | None, keyed: bool = False) -> None:
    """Writes a dataset file without frames; a `keyed` one has a number for each of those to come.

    Keyed files hold what is on its way to another file, soon and once: they are not compressed.
    """
    path.write_bytes(_empty(json.dumps(plain(provenance or {})), keyed))


@lru_cache(maxsize=2)
def _empty(provenance: str, keyed: bool) -> bytes:
    """A file without frames: what a worker begins one chunk after the other with."""
    packing = {} if keyed else {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    with h5py.File("empty", "w", libver="latest", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["provenance"] = provenance
        for column in (KEY, *COLUMNS) if keyed else COLUMNS:
            dataset = file.create_dataset(
                column.name,
                shape=(0, *column.tail),
                maxshape=(None, *column.tail),
                dtype=column.dtype,
                chunks=(column.chunk, *column.tail),
                fletcher32=True,
                **packing,
            )
            dataset.attrs["units"] = column.units
        file.flush()
        return bytes(file.id.get_file_image())


def read_header(file: h5py.File, path: str | Path) -> dict[str, Any]:
    """Format, version and provenance, upgraded to the present version.

    Raises InputError for other HDF5 files, newer versions and files without the datasets.
    """
    attributes = dict(file.attrs)
    if attributes.get("format") != FORMAT:
        raise InputError(
            "this HDF5 file is not an eqcli dataset", Where(path), "`eqcli convert` makes one from structure files."
        )
    header = {"format": FORMAT, "version": int(attributes["version"])}
    header["provenance"] = _json(attributes.get("provenance"))
    header = upgrade(header, path)
    missing = [c.name for c in COLUMNS if c.name not in file]
    if missing:
        raise InputError(f"this dataset is damaged: it lacks {', '.join(missing)}", Where(path))
    return header


def upgrade(header: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """`header` brought to the present version. Raises InputError for a version of the future."""
    if header["version"] > VERSION:
        raise InputError(
            f"this dataset has format version {header['version']}; this eqcli reads up to {VERSION}",
            Where(path),
            "Update eqcli.",
        )
    while header["version"] < VERSION:
        header = UPGRADES[header["version"]](header)
    return header


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return {}


def encode(structures: list[Structure]) -> Rows:
    """The rows of several structures, offsets counted from the first of them."""
    rows: Rows = {
        "atoms/numbers": np.concatenate([_numbers(s) for s in structures]),
        "atoms/positions": np.concatenate([s.positions for s in structures]),
        "atoms/forces": np.concatenate([_or_nan(s.forces, (len(s), 3)) for s in structures]),
        "atoms/fixed": np.concatenate([_fixed(s) for s in structures]),
        "frames/cell": np.stack([s.cell for s in structures]),
        "frames/pbc": np.stack([s.pbc for s in structures]).astype(np.uint8),
        "frames/energy": np.array([np.nan if s.energy is None else s.energy for s in structures]),
        "frames/stress": np.stack([to_voigt(s.stress) for s in structures]),
        "frames/charge": np.array([np.nan if s.charge is None else s.charge for s in structures]),
    }
    blobs = [encode_blob(s) for s in structures]
    rows["blob/data"] = np.frombuffer(b"".join(blobs), dtype=np.uint8)
    rows["frames/blob_offset"] = np.cumsum([len(b) for b in blobs], dtype=np.int64)
    rows["frames/offset"] = np.cumsum([len(s) for s in structures], dtype=np.int64)
    return rows


def check(structure: Structure) -> None:
    """Raises InputError where a label is not finite or does not fit the atoms: NaN would read back as absent."""
    labels = {"energy": structure.energy, "forces": structure.forces, "stress": structure.stress}
    for name, value in {**labels, "charge": structure.charge, "positions": structure.positions}.items():
        if value is not None and not np.isfinite(value).all():
            raise InputError(f"the {name} of this structure hold NaN or infinity", structure.where)
    if structure.forces is not None and np.shape(structure.forces) != (len(structure), 3):
        raise InputError(f"the forces of this structure are not {len(structure)} x 3", structure.where)
    if len(structure) == 0:
        raise InputError("a structure without atoms", structure.where)


def decode(rows: Rows, atoms: NDArray[np.int64], blobs: NDArray[np.int64], path: Path, first: int) -> list[Structure]:
    """Structures from their rows, each with memory of its own.

    `atoms [F + 1]` and `blobs [F + 1]` say where the rows of each begin in the datasets of atoms and in the blob;
    `first` is the number of the first of them in the file.
    """
    forces, stress, fixed = rows["atoms/forces"], rows["frames/stress"], rows["atoms/fixed"]
    numbers, positions = rows["atoms/numbers"].astype(np.int64), rows["atoms/positions"]
    no_forces = _any(_absent(forces), atoms)
    not_fixed = _any(fixed < 0, atoms)
    no_stress = _absent(stress).tolist()
    energies, charges = rows["frames/energy"].tolist(), rows["frames/charge"].tolist()
    cells, pbc, blob = rows["frames/cell"], rows["frames/pbc"].astype(bool), rows["blob/data"]
    bounds, pieces = atoms.tolist(), blobs.tolist()
    found = []
    for k in range(len(energies)):
        own = slice(bounds[k], bounds[k + 1])
        info, arrays = decode_blob(blob[pieces[k] : pieces[k + 1]])
        found.append(
            Structure(
                numbers=numbers[own].copy(),
                positions=positions[own].copy(),
                cell=cells[k].copy(),
                pbc=pbc[k],
                energy=None if isnan(energies[k]) else energies[k],
                forces=None if no_forces[k] else forces[own].copy(),
                stress=None if no_stress[k] else from_voigt(stress[k]),
                charge=None if isnan(charges[k]) else charges[k],
                fixed=None if not_fixed[k] else fixed[own].astype(bool),
                info=info,
                arrays=arrays,
                where=Where(path, first + k),
            )
        )
    return found


def _absent(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each row has NaN, which stands for no label."""
    return np.asarray(np.isnan(values).any(axis=1))


def _any(marked: NDArray[np.bool_], starts: NDArray[np.int64]) -> list[bool]:
    """Whether a row of each frame is marked."""
    before = np.concatenate([[0], np.cumsum(marked)])
    return [bool(count) for count in (before[starts[1:]] - before[starts[:-1]]).tolist()]


def to_voigt(stress: FloatArray | None) -> FloatArray:
    """xx yy zz yz xz xy of a symmetric tensor; NaN for none."""
    if stress is None:
        return np.full(6, np.nan)
    symmetric = 0.5 * (np.asarray(stress, dtype=np.float64) + np.transpose(stress))
    return np.array([symmetric[i, j] for i, j in _VOIGT])


def from_voigt(stress: FloatArray) -> FloatArray:
    """The symmetric tensor of xx yy zz yz xz xy."""
    xx, yy, zz, yz, xz, xy = stress.tolist()
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def encode_blob(structure: Structure) -> bytes:
    """JSON bytes of `info` and `arrays`; arrays are base64, hence exact. Empty where there is neither."""
    if not structure.info and not structure.arrays:
        return b""
    arrays = {}
    for name, values in structure.arrays.items():
        array = np.asarray(values)
        if array.dtype.kind not in "biufU":
            array = np.asarray([str(v) for v in array.ravel()]).reshape(array.shape)
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        arrays[str(name)] = {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}
    return json.dumps({"info": plain(structure.info), "arrays": arrays}).encode()


def decode_blob(data: NDArray[np.uint8]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """`info` and `arrays` of a frame."""
    if len(data) == 0:
        return {}, {}
    content = json.loads(data.tobytes())
    arrays = {}
    for name, entry in content["arrays"].items():
        flat = np.frombuffer(base64.b64decode(entry["data"]), dtype=np.dtype(entry["dtype"]))
        arrays[name] = flat.reshape(entry["shape"]).copy()
    return content["info"], arrays


def _numbers(structure: Structure) -> NDArray[np.uint8]:
    if structure.numbers.min(initial=1) < 1 or structure.numbers.max(initial=1) > 118:
        raise InputError("atomic numbers are from 1 to 118", structure.where)
    return structure.numbers.astype(np.uint8)


def _or_nan(values: FloatArray | None, shape: tuple[int, ...]) -> FloatArray:
    return np.full(shape, np.nan) if values is None else np.asarray(values, dtype=np.float64)


def _fixed(structure: Structure) -> NDArray[np.int8]:
    if structure.fixed is None:
        return np.full(len(structure), -1, dtype=np.int8)
    return np.asarray(structure.fixed, dtype=np.int8)
