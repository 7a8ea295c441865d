"""Extended XYZ, written so that it reads back bit for bit, here and in ASE.

Labels have the names `energy`, `forces` and `stress` (nine numbers, row after row) and the
tool's units; `pbc` always stands. Entries of the user with names that a reader would take
for labels are written with `original_` in front; a `REF_energy` beside an `energy` keeps its
name, since readers take the `energy`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.conventions import ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS, VIRIAL_KEYS
from eqcli.io.frame import plain
from eqcli.io.labels import CHARGE_KEYS, LABEL_NAMES
from eqcli.io.structure import Structure
from eqcli.io.xyz_columns import EMPTY
from eqcli.io.xyz_header import format_entry

PROVENANCE_KEY = "eqcli_provenance"
"""Entry of the first frame that says where the file comes from."""

_RESERVED = LABEL_NAMES | {"Lattice", "Properties", "properties", "pbc", *CHARGE_KEYS}
_RESERVED_COLUMNS = LABEL_NAMES | {"species", "pos", "positions", "numbers", "symbols", "Z", "atomic_numbers"}


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes the structures one after the other and returns how many there were."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for structure in structures:
            extra = {PROVENANCE_KEY: provenance} if provenance and count == 0 else {}
            file.write(format_frame(structure, extra))
            count += 1
    return count


def format_frame(structure: Structure, extra: dict[str, Any] | None = None) -> str:
    """One frame as text; `extra` entries are added to its comment line."""
    columns = _columns(structure)
    properties = ":".join(f"{name}:{kind}:{len(words)}" for name, kind, words in columns)
    entries = {**_entries(structure), **(extra or {})}
    header = [f"Properties={properties}", *(format_entry(k, v) for k, v in entries.items())]
    if structure.cell.any():
        header.insert(0, f'Lattice="{" ".join(map(repr, structure.cell.ravel().tolist()))}"')
    header.append('pbc="{}"'.format(" ".join("T" if p else "F" for p in structure.pbc)))
    words = [column for _, _, group in columns for column in group]
    rows = "\n".join(map(" ".join, zip(*words, strict=True)))
    return f"{len(structure)}\n{' '.join(header)}\n{rows}\n"


def _entries(structure: Structure) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    if structure.energy is not None:
        entries["energy"] = float(structure.energy)
    if structure.stress is not None:
        entries["stress"] = np.asarray(structure.stress, dtype=np.float64).ravel().tolist()
    if structure.charge is not None:
        entries["charge"] = float(structure.charge)
    outranked = _outranked(structure)
    for key, value in structure.info.items():
        # JSON has strings alone as names, hence so has this format.
        name = str(key)
        entries[f"original_{name}" if name in _RESERVED - outranked else name] = plain(value)
    return entries


def _outranked(structure: Structure) -> set[str]:
    """Label names that no reader takes, since the structure has a label of that kind under its first name."""
    names: set[str] = set()
    if structure.energy is not None:
        names.update(ENERGY_KEYS[1:])
    if structure.forces is not None:
        names.update(FORCES_KEYS[1:])
    if structure.stress is not None:
        names.update(STRESS_KEYS[1:], VIRIAL_KEYS)
    return names


Group = tuple[str, str, list[list[str]]]
"""Name, type and words of a property, column by column."""


def _columns(structure: Structure) -> list[Group]:
    columns: list[Group] = [("species", "S", [[SYMBOLS[z] for z in structure.numbers.tolist()]])]
    columns.append(("pos", "R", _words(structure.positions, "R", "pos")))
    if structure.forces is not None:
        columns.append(("forces", "R", _words(structure.forces, "R", "forces")))
    masked = "move_mask" in structure.arrays
    if structure.fixed is not None and not masked:
        columns.append(("move_mask", "L", _words(~np.asarray(structure.fixed, dtype=bool), "L", "move_mask")))
    reserved = _RESERVED_COLUMNS - _outranked(structure)
    for key, values in structure.arrays.items():
        name = f"original_{key}" if key in reserved else key
        if ":" in name or not name.isprintable() or any(c in " =\"'{}[]\\," for c in name) or not name:
            raise InputError(f"the array name {name!r} cannot stand in an extended XYZ file", structure.where)
        kind = _kind(np.asarray(values))
        columns.append((name, kind, _words(np.asarray(values), kind, name)))
    return columns


def _kind(values: NDArray[Any]) -> str:
    return {"f": "R", "i": "I", "u": "I", "b": "L"}.get(values.dtype.kind, "S")


def _words(values: NDArray[Any], kind: str, name: str) -> list[list[str]]:
    """The words of an array `[N, ...]`, one list per column; further axes are laid side by side."""
    flat = values.reshape(len(values), -1).T.tolist()
    if kind == "L":
        return [["T" if v else "F" for v in column] for column in flat]
    if kind in "RI":
        return [list(map(repr, column)) for column in flat]
    return [[_word(str(v), name) for v in column] for column in flat]


def _word(text: str, name: str) -> str:
    if not text:
        return EMPTY
    if text.split() != [text] or not text.isprintable() or text == EMPTY:
        raise InputError(f"the word {text!r} of array '{name}' cannot stand in a column", hint="Words have no spaces.")
    return text
