"""Writing MDL molfiles and SD files: V2000, or V3000 for what does not fit its columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.io.frame import plain
from eqcli.io.structure import Structure

V2000_ATOMS = 999
"""More atoms or bonds than this need the V3000 form."""

V2000_REACH = 9999.0
"""Å. So do coordinates beyond this."""

ENTRIES_PER_LINE = 8
AROMATIC = 4
"""Bond type that stands for order 1.5."""

ANY = 8
"""Bond type of all orders that these files do not have."""

PROPERTIES = {"formal_charge": ("CHG", "CHG"), "isotope": ("ISO", "MASS"), "radical_electrons": ("RAD", "RAD")}
"""Names of the arrays that belong to the atoms, in V2000 and in V3000."""


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a record per structure (a single molfile for `.mol`); positions have four decimals, all digits in V3000.

    Bonds are those of `info["bonds"]`, charges, isotopes and radicals those of `PROPERTIES`. Other scalar entries of
    `info` and the energy (`energy_eV`) become data items, and so do lists of numbers and arrays of one number per
    atom. The cell and forces have no place in this format.
    """
    lone = path.suffix.lower() == ".mol"
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for structure in structures:
            file.write(_molblock(structure, _comment(provenance) if lone else ""))
            if not lone:
                extra = {"eqcli_provenance": json.dumps(plain(provenance))} if provenance and count == 0 else {}
                file.write(_data_items(structure, extra) + "$$$$\n")
            count += 1
    return count


def record(structure: Structure) -> str:
    """The text of one record, `$$$$` included, for files that grow."""
    return _molblock(structure, "") + _data_items(structure, {}) + "$$$$\n"


def _comment(provenance: dict[str, Any] | None) -> str:
    """Version and commit: a molfile has one short line of comment and no data items."""
    return f"eqcli {provenance.get('eqcli', '')} {(provenance.get('commit') or '')[:12]}" if provenance else ""


def _molblock(structure: Structure, comment: str) -> str:
    properties = _properties(structure)
    bonds = [(int(i) + 1, int(j) + 1, _type(order)) for i, j, order in structure.info.get("bonds", [])]
    title = " ".join(str(structure.info.get("name", "")).split())
    large = max(len(structure), len(bonds)) > V2000_ATOMS or np.abs(structure.positions).max() > V2000_REACH
    body = _v3000(structure, properties, bonds) if large else _v2000(structure, properties, bonds)
    return "\n".join([title[:80], "     eqcli          3D", comment, *body, "M  END", ""])


Bonds = list[tuple[int, int, int]]
"""Atoms, from 1, and type of each bond."""


Properties = dict[str, list[int]]
"""A number of each atom, 0 where there is nothing to say, under the names of `PROPERTIES`."""


def _type(order: float) -> int:
    return AROMATIC if order == 1.5 else int(order) if order in (1, 2, 3) else ANY


def _properties(structure: Structure) -> Properties:
    found = {name: structure.arrays[name].astype(int).tolist() for name in PROPERTIES if name in structure.arrays}
    if "radical_electrons" in found:
        # Of radicals these files state the multiplicity: 2, or 3 for an even number of electrons.
        found["radical_electrons"] = [0 if n == 0 else 2 + (n + 1) % 2 for n in found["radical_electrons"]]
    return found


def _v2000(structure: Structure, properties: Properties, bonds: Bonds) -> list[str]:
    lines = [f"{len(structure):3d}{len(bonds):3d}  0  0  0  0  0  0  0  0999 V2000"]
    for z, (x, y, w) in zip(structure.numbers.tolist(), structure.positions.tolist(), strict=True):
        lines.append(f"{x:10.4f}{y:10.4f}{w:10.4f} {SYMBOLS[z]:<3} 0  0  0  0  0  0  0  0  0  0  0  0")
    lines += [f"{i:3d}{j:3d}{kind:3d}  0" for i, j, kind in bonds]
    for name, values in properties.items():
        stated = [(i + 1, value) for i, value in enumerate(values) if value]
        for start in range(0, len(stated), ENTRIES_PER_LINE):
            part = stated[start : start + ENTRIES_PER_LINE]
            entries = "".join(f" {i:3d} {value:3d}" for i, value in part)
            lines.append(f"M  {PROPERTIES[name][0]}{len(part):3d}{entries}")
    return lines


def _v3000(structure: Structure, properties: Properties, bonds: Bonds) -> list[str]:
    lines = ["  0  0  0     0  0            999 V3000", "M  V30 BEGIN CTAB"]
    lines += [f"M  V30 COUNTS {len(structure)} {len(bonds)} 0 0 0", "M  V30 BEGIN ATOM"]
    for i, (z, (x, y, w)) in enumerate(zip(structure.numbers.tolist(), structure.positions.tolist(), strict=True)):
        stated = [f" {PROPERTIES[name][1]}={values[i]}" for name, values in properties.items() if values[i]]
        lines.append(f"M  V30 {i + 1} {SYMBOLS[z]} {x!r} {y!r} {w!r} 0{''.join(stated)}")
    lines.append("M  V30 END ATOM")
    if bonds:
        lines.append("M  V30 BEGIN BOND")
        lines += [f"M  V30 {n + 1} {kind} {i} {j}" for n, (i, j, kind) in enumerate(bonds)]
        lines.append("M  V30 END BOND")
    return [*lines, "M  V30 END CTAB"]


def _data_items(structure: Structure, extra: dict[str, Any]) -> str:
    items = {k: v for k, v in structure.info.items() if k not in ("bonds", "name")} | extra
    if structure.energy is not None:
        items["energy_eV"] = repr(float(structure.energy))
    items |= {
        name: values.tolist()
        for name, values in structure.arrays.items()
        if name not in PROPERTIES and values.ndim == 1 and values.dtype.kind in "iuf"
    }
    lines = []
    for key, value in items.items():
        if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
            value = " ".join(map(repr, value))
        if isinstance(value, str | int | float | bool):
            text = "\n".join(line for line in str(value).splitlines() if line.strip())
            lines.append(f">  <{key}>\n{text}\n\n")
    return "".join(lines)
