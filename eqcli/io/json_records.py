"""JSON lists of structures with labels, as the mlearn, JARVIS and Materials Project sets have them.

A record holds `atoms` (JARVIS: `lattice_mat`, `coords`, `cartesian`, `elements`) or `structure`
(pymatgen); the labels stand beside it or under `outputs`, in units and signs that the convention
declares: for mlearn energies per atom, stresses in kbar, VASP's sign, order xx yy zz xy xz yz.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Items, atomic_number, plain, unknown_element
from eqcli.io.text import open_text

CHUNK = 1 << 20
_SPACE = " \t\r\n"


def read(path: Path) -> Items:
    """A structure per record, decoded one after the other."""
    with open_text(path) as file:
        number = -1
        for number, (line, record) in enumerate(_records(path, file)):
            where = Where(path, number, line)
            try:
                yield _frame(record, where)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                yield InputError(
                    f"this record is not a structure: {what}", where, "Expected `atoms` or `structure`, and labels."
                )
            except InputError as error:
                yield error
        if number < 0:
            raise InputError("the file holds no records", Where(path))


def _records(path: Path, file: IO[str]) -> Iterator[tuple[int, Any]]:
    """Line and content of each element of the outermost list; a lone object is its only element."""
    decoder = json.JSONDecoder()
    buffer = _more(file, "").lstrip(_SPACE)
    line = 1
    listed = buffer.startswith("[")
    position = 1 if listed else 0
    while True:
        start = _skip(buffer, position)
        line += buffer.count("\n", position, start)
        if start == len(buffer) or (listed and buffer[start] == "]"):
            if start < len(buffer) or not (more := _more(file, "")):
                break
            buffer, position = more, 0
            continue
        try:
            value, end = decoder.raw_decode(buffer, start)
        except RecursionError as error:
            raise InputError("this JSON is nested too deeply", Where(path, line=line)) from error
        except ValueError as error:
            longer = _more(file, buffer[start:])
            if len(longer) == len(buffer) - start:
                at = line + buffer.count("\n", start, getattr(error, "pos", start))
                raise InputError(f"this is not valid JSON: {error}", Where(path, line=at)) from error
            buffer, position = longer, 0
            continue
        yield line, value
        line += buffer.count("\n", start, end)
        position = end
    if listed and start == len(buffer):
        raise InputError("the list is not closed: the file may be cut off", Where(path, line=line))


def _more(file: IO[str], rest: str) -> str:
    """`rest` and at least as much again."""
    return rest + file.read(max(CHUNK, len(rest)))


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position


def _frame(record: Any, where: Where) -> Frame:
    if not isinstance(record, dict):
        raise ValueError(f"found {type(record).__name__}, expected an object")
    content = record.get("atoms") or record.get("structure") or record
    symbols, positions, cell = _pymatgen(content) if "sites" in content else _jarvis(content)
    numbers = [atomic_number(str(s)) for s in symbols]
    if None in numbers:
        raise unknown_element(str(symbols[numbers.index(None)]), where)
    if not numbers or positions.shape != (len(numbers), 3):
        raise ValueError(f"{len(numbers)} elements and positions of shape {positions.shape}")
    info = {k: v for k, v in record.items() if k not in ("atoms", "structure", "outputs") and record is not content}
    info |= record.get("outputs") or {}
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
