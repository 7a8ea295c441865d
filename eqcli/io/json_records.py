"""JSON lists of structures with labels, as the mlearn, JARVIS and Materials Project sets have them.

A record holds `atoms` (JARVIS: `lattice_mat`, `coords`, `cartesian`, `elements`) or `structure`
(pymatgen); the labels stand beside it or under `outputs`, in units and signs that the convention
declares: for mlearn as ALIGNN has it energies per atom, stresses in kbar, VASP's sign, order xx yy zz xy xz yz; for
mlearn itself total energies. Entries that JARVIS marks as absent (`na`) are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io import matbench
from eqcli.io.frame import Frame, Items, atomic_number, plain, unknown_element
from eqcli.io.json_stream import JsonStream, item, open_json

ABSENT = "na"


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
    for number, (line, record) in enumerate(stream.records()):
        yield item(record, Where(path, number, line), frame)
    if number < 0:
        raise InputError("the file holds no records", Where(path))


def frame(record: Any, where: Where) -> Frame:
    """The frame of a record. Raises InputError, or what Python raises where the record is none."""
    if not isinstance(record, dict):
        raise ValueError(f"found {type(record).__name__}, expected an object")
    content = record.get("atoms") or record.get("structure") or record
    symbols, positions, cell = _pymatgen(content) if "sites" in content else _jarvis(content)
    numbers = [atomic_number(str(s).strip()) for s in symbols]
    if None in numbers:
        raise unknown_element(str(symbols[numbers.index(None)]), where)
    if not numbers or positions.shape != (len(numbers), 3):
        raise ValueError(f"{len(numbers)} elements and positions of shape {positions.shape}")
    info = {k: v for k, v in record.items() if k not in ("atoms", "structure", "outputs") and record is not content}
    info |= record.get("outputs") or {}
    # JARVIS writes this for what was not computed.
    info = {k: v for k, v in info.items() if v != ABSENT}
    arrays = {k: np.array(info.pop(k)) for k in list(info) if _is_per_atom(info[k], len(numbers))}
    return Frame(
        numbers=np.array(numbers, dtype=np.int64),
        positions=positions,
        cell=cell,
        pbc=None if cell is None else np.ones(3, dtype=bool),
        info=plain(info),
        arrays=arrays,
        where=where,
    )


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


def _pymatgen(content: dict[str, Any]) -> tuple[list[str], Any, Any]:
    sites = content["sites"]
    for site in sites:
        if len(site["species"]) != 1 or abs(site["species"][0].get("occu", 1) - 1) > 1e-3:
            raise ValueError(f"site {site.get('label', '?')} is partly occupied")
    symbols = [site["species"][0]["element"].rstrip("+-0123456789") for site in sites]
    if "lattice" not in content:
        return symbols, np.array([site["xyz"] for site in sites], dtype=np.float64), None
    cell = np.array(content["lattice"]["matrix"], dtype=np.float64).reshape(3, 3)
    return symbols, np.array([site["abc"] for site in sites], dtype=np.float64) @ cell, cell
