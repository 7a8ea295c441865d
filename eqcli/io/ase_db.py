"""ASE's databases (SQLite) and trajectories. Plain data are read; no object is built from the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io import schnetpack
from eqcli.io.frame import Frame, Items, plain
from eqcli.io.structure import Structure

ARRAYS = "eqcli_arrays"
"""Entry of the data of a row that names its arrays; without it a list of bonds may look like one."""


def read(path: Path) -> Items:
    """A structure per row or image. Key-value pairs and data become `info`, data with a row per atom `arrays`."""
    yield from _trajectory(path) if path.suffix.lower() == ".traj" else _database(path)


def _database(path: Path) -> Items:
    connect = _connect()
    _check_tables(path)
    try:
        # The type is named, since ASE would import a back end by the name of the file.
        database = connect(str(path), type="db", use_lock_file=False)
        layout = schnetpack.layout_of(database.metadata)
        for number, row in enumerate(database.select()):
            where = Where(path, number)
            try:
                yield schnetpack.named(_row(row, where), layout)
            except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                yield InputError(f"row {row.id} of the database cannot be read: {error}", where)
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"this is not an ASE database, or it is damaged: {error}", Where(path)) from error


def _check_tables(path: Path) -> None:
    """Raises InputError where the file is no ASE database; ASE itself would add its tables to any other."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("select name from sqlite_master where name = 'systems'").fetchone()
    except sqlite3.Error as error:
        raise InputError(f"this is not an SQLite database: {error}", Where(path)) from error
    if found is None:
        raise InputError("this is not an ASE database: it has no table of systems", Where(path))


def _connect() -> Any:
    from ase import db

    return db.connect


def _row(row: Any, where: Where) -> Frame:
    entries = row.__dict__ | {"key_value_pairs": row.key_value_pairs, "data": row.data}
    return frame_of_row(entries | {"constraints": row.__dict__.get("_constraints")}, int(row.id), where)


def frame_of_row(row: dict[str, Any], number: int, where: Where) -> Frame:
    """The frame of a row's entries, `number` being its id. Raises what Python raises where they are malformed."""
    numbers = np.asarray(row["numbers"], dtype=np.int64)
    info = {**plain(dict(row.get("key_value_pairs") or {})), "row": number}
    arrays: dict[str, NDArray[Any]] = {}
    _sort_in(dict(row.get("data") or {}), info, arrays, len(numbers))
    for key in ("energy", "forces", "stress"):
        if (value := row.get(key)) is not None:
            (arrays if key == "forces" else info)[key] = np.asarray(value) if key == "forces" else plain(value)
    for key in ("tags", "momenta", "initial_magmoms", "initial_charges", "masses"):
        if (value := row.get(key)) is not None:
            arrays[key] = np.asarray(value)
    if (charges := row.get("charges")) is not None:
        arrays.setdefault("charges", np.asarray(charges))
    if (dipole := row.get("dipole")) is not None:
        info.setdefault("dipole", plain(dipole))
    if (charge := row.get("charge")) is not None and "charge" not in info:
        info["charge"] = float(charge)
    cell = np.asarray(row["cell"], dtype=np.float64).reshape(3, 3)
    return Frame(
        numbers=numbers,
        positions=np.asarray(row["positions"], dtype=np.float64).reshape(len(numbers), 3),
        cell=cell if cell.any() else None,
        pbc=np.broadcast_to(np.asarray(row["pbc"], dtype=bool), (3,)),
        fixed=_held(row.get("constraints"), len(numbers), arrays),
        info=info,
        arrays=arrays,
        where=where,
        # The data of a row hold anything under any name: `free_energy` is a Gibbs energy in QM9.
        implicit_labels="standard",
    )


def _sort_in(data: dict[str, Any], info: dict[str, Any], arrays: dict[str, NDArray[Any]], natoms: int) -> None:
    """Puts arrays with a row per atom to the arrays and everything else to the info.

    Where the row does not say which they are, tables of numbers with a row per atom are taken for it.
    """
    named = data.pop(ARRAYS, None)
    for key, value in data.items():
        array = _array(value)
        table = array is not None and array.ndim == 2 and array.dtype.kind in "biuf"
        if array is not None and len(array) == natoms and (table if named is None else key in named):
            arrays[key] = array
        elif array is not None and array.size == 1 and array.dtype.kind in "biuf":
            info[key] = array.item()
        else:
            info[key] = plain(value)


def _array(value: Any) -> NDArray[Any] | None:
    if not isinstance(value, list | np.ndarray):
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        # Rows of different lengths.
        return None
    return array if array.ndim else None


def _held(constraints: Any, natoms: int, arrays: dict[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Atoms that constraints hold in all directions; where some are held in a few only, `move_mask` says in which.

    Constraints other than `FixAtoms` and `FixCartesian` cannot be expressed and raise ValueError.
    """
    listed = json.loads(constraints) if isinstance(constraints, str) else constraints
    if not listed:
        return None
    free = np.ones((natoms, 3), dtype=bool)
    for constraint in listed:
        name = constraint.get("name") or constraint.get("__name__", "")
        content = constraint.get("kwargs", constraint)
        match name.rsplit(".", 1)[-1]:
            case "FixAtoms":
                free[_indices(content.get("indices", content.get("index")))] = False
            case "FixCartesian":
                free[_indices(content["a"])] &= ~np.asarray(content["mask"], dtype=bool)
            case _:
                raise ValueError(f"the constraint {name} is not supported, only FixAtoms and FixCartesian")
    if (free.any(axis=1) != free.all(axis=1)).any():
        arrays["move_mask"] = free
    return np.logical_not(free.any(axis=1))


def _indices(value: Any) -> NDArray[np.int64]:
    listed = value["__ndarray__"][2] if isinstance(value, dict) else value
    return np.atleast_1d(np.asarray(listed, dtype=np.int64))


def _trajectory(path: Path) -> Items:
    from ase.io import ulm as untyped

    ulm: Any = untyped
    try:
        reader = ulm.open(str(path))
    except (ulm.InvalidULMFileError, OSError, ValueError) as error:
        raise InputError("this is not an ASE trajectory, or it is damaged", Where(path)) from error
    constant: dict[str, Any] = {}
    with reader:
        for number in range(len(reader)):
            where = Where(path, number)
            try:
                image = reader[number]
                constant = constant or {k: _get(image, k) for k in ("numbers", "pbc", "tags", "constraints")}
                yield _image(image, constant, where)
            except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
                yield InputError(f"this image of the trajectory cannot be read: {error}", where)


def _image(image: Any, constant: dict[str, Any], where: Where) -> Frame:
    """One image; what does not change stands in the first image alone."""
    current = {k: v if (new := _get(image, k)) is None else new for k, v in constant.items()}
    numbers = np.asarray(current["numbers"], dtype=np.int64)
    info: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    calculator = _get(image, "calculator")
    for key in ("energy", "stress"):
        if calculator is not None and (value := _get(calculator, key)) is not None:
            info[key] = plain(value)
    if calculator is not None and (forces := _get(calculator, "forces")) is not None:
        arrays["forces"] = np.asarray(forces)
    if current["tags"] is not None:
        arrays["tags"] = np.asarray(current["tags"])
    cell = np.asarray(image.cell, dtype=np.float64).reshape(3, 3)
    return Frame(
        numbers=numbers,
        positions=np.asarray(image.positions, dtype=np.float64),
        cell=cell if cell.any() else None,
        pbc=None if current["pbc"] is None else np.asarray(current["pbc"], dtype=bool),
        fixed=_held(current["constraints"], len(numbers), arrays),
        info=info,
        arrays=arrays,
        where=where,
    )


def _get(item: Any, key: str) -> Any:
    return getattr(item, key) if key in item else None


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a row per structure, labels as ASE stores them, `info` under data."""
    from eqcli.io.ase_bridge import to_ase

    count = 0
    with _connect()(str(path), type="db", use_lock_file=False, append=False) as database:
        if provenance:
            database.metadata = {"eqcli_provenance": plain(provenance)}
        for structure in structures:
            data, arrays = plain(structure.info), structure.arrays
            if structure.charge is not None:
                data["charge"] = structure.charge
            data |= {key: values if values.dtype.kind in "biuf" else plain(values) for key, values in arrays.items()}
            data[ARRAYS] = sorted(arrays)
            database.write(to_ase(structure), data=data)
            count += 1
    return count
