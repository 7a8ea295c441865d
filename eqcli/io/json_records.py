"""JSON lists of structures with labels, as the mlearn, JARVIS and Materials Project sets have them.

A record holds `atoms` (JARVIS: `lattice_mat`, `coords`, `cartesian`, `elements`) or `structure`
(pymatgen: a `ComputedStructureEntry` among others), or is a pymatgen `Structure` or `Molecule` itself; the labels stand
beside it, under `outputs` or among its properties, in units and signs that the convention declares: for mlearn as
ALIGNN has it energies per atom, stresses in kbar, VASP's sign, order xx yy zz xy xz yz; for mlearn itself total
energies. Entries that JARVIS marks as absent (`na`) are left out. Records stand in a list, one after the other, under
their names in an object, or in the list `structures` or `entries` of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io import matbench, pymatgen_json
from eqcli.io.frame import Frame, Items, atomic_number, plain, unknown_element
from eqcli.io.json_stream import JsonStream, item, open_json
from eqcli.io.pymatgen_json import write as write

ABSENT = "na"
LISTS = ("structures", "entries")
PARTS = ("atoms", "structure", "outputs", "lattice", "properties", "composition", "parameters", "data")
"""Keys of a record whose values are objects: where one comes first, the text is no object of named records."""

_LIST = re.compile(rf'\{{\s*"({"|".join(LISTS)})"\s*:\s*\[')
_NAMED = re.compile(rf'\{{\s*"(?!({"|".join(PARTS)})")[^"\\]{{1,100}}"\s*:\s*\{{')
_OWN = frozenset({"lattice", "sites", "charge", "spin_multiplicity", "properties"})
"""Keys of pymatgen's dictionaries; all others are entries."""


def read(path: Path) -> Items:
    """A structure per record, decoded one after the other."""
    with open_json(path) as file:
        stream = JsonStream(path, file)
        if stream.peek() == "{" and stream.starts_with(matbench.START):
            yield from matbench.read(path, stream, frame)
            return
        yield from _read(path, stream)


def _read(path: Path, stream: JsonStream) -> Items:
    number = -1
    for number, (line, record) in enumerate(_records(stream)):
        yield item(record, Where(path, number, line), frame)
    if number < 0:
        raise InputError("the file holds no records", Where(path))


def _records(stream: JsonStream) -> Iterator[tuple[int, Any]]:
    """Line and value of each record, however they are put together."""
    if stream.peek() == "{" and stream.starts_with(_LIST):
        for key in stream.keys():  # noqa: SIM118
            if key in LISTS and stream.peek() == "[":
                yield from stream.elements()
            else:
                stream.value()
    elif stream.peek() == "{" and stream.starts_with(_NAMED):
        for key in stream.keys():  # noqa: SIM118
            line, value = stream.line, stream.value()
            yield line, {"name": key, **value} if isinstance(value, dict) else value
    for line, value in stream.records():
        lists = [value[key] for key in LISTS if isinstance(value.get(key), list)] if isinstance(value, dict) else []
        yield from ((line, record) for record in lists[0]) if lists else ((line, value),)


def frame(record: Any, where: Where) -> Frame:
    """The frame of a record. Raises InputError, or what Python raises where the record is none."""
    if not isinstance(record, dict):
        raise ValueError(f"found {type(record).__name__}, expected an object")
    content = record.get("atoms") or record.get("structure") or record
    ours = "sites" in content
    symbols, positions, cell = pymatgen_json.atoms_of(content) if ours else _jarvis(content)
    numbers = [atomic_number(str(s).strip()) for s in symbols]
    if None in numbers:
        raise unknown_element(str(symbols[numbers.index(None)]), where)
    if not numbers or positions.shape != (len(numbers), 3):
        raise ValueError(f"{len(numbers)} elements and positions of shape {positions.shape}")
    info, columns = pymatgen_json.properties_of(content) if ours else ({}, {})
    info |= _entries(record, content) | (record.get("outputs") or {})
    # JARVIS writes this for what was not computed.
    info = {k: v for k, v in info.items() if not (isinstance(v, str) and v == ABSENT)}
    arrays = {k: np.array(info.pop(k)) for k in list(info) if _is_per_atom(info[k], len(numbers))}
    info |= {k: v for k, v in columns.items() if not _is_array(v)}
    arrays |= {k: np.array(v) for k, v in columns.items() if _is_array(v)}
    mask = pymatgen_json.take_mask(arrays)
    periods = pymatgen_json.periods_of(content) if ours else None
    return Frame(
        numbers=np.array(numbers, dtype=np.int64),
        positions=positions,
        cell=cell,
        pbc=None if cell is None else np.array(periods or [True] * 3),
        info=plain(info),
        arrays=arrays,
        fixed=None if mask is None else np.logical_not(mask.any(axis=1)),
        where=where,
    )


def _entries(record: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the atoms; a bare JARVIS `atoms` has nothing."""
    if record is not content:
        left_out: frozenset[str] = frozenset({"atoms", "structure", "outputs", "composition"})
    elif "sites" in content:
        left_out = _OWN
    else:
        return {"name": record["name"]} if "name" in record else {}
    return {k: v for k, v in record.items() if k not in left_out and not k.startswith("@")}


def _is_array(values: list[Any]) -> bool:
    """Whether values of the sites are numbers, words or truths of one shape."""
    try:
        return np.array(values).dtype.kind in "biufU"
    except ValueError:
        return False


def _is_per_atom(value: Any, natoms: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == natoms
        and all(isinstance(v, list) and len(v) == 3 and all(isinstance(x, int | float) for x in v) for v in value)
    )


def _jarvis(content: dict[str, Any]) -> tuple[list[str], Any, Any]:
    cell = np.array(content["lattice_mat"], dtype=np.float64).reshape(3, 3)
    coordinates = np.array(content["coords"], dtype=np.float64).reshape(-1, 3)
    return content["elements"], coordinates if content.get("cartesian") else coordinates @ cell, cell
