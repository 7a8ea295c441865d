"""pymatgen's dictionaries of structures and molecules: read in records, written as a list.

What is written is what `Structure.as_dict` gives, so that `[Structure.from_dict(d) for d in json.load(file)]` and
monty's `loadfn` read it. Energy (eV), charge, stress (eV/Å^3) and entries are `properties`; forces (eV/Å), arrays and
`selective_dynamics` (whether an atom may move along each direction) those of the sites. Provenance stands beside the
first structure, where pymatgen does not look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.io.cells import cell_parameters, require_cell
from eqcli.io.extxyz_writer import PROVENANCE_KEY
from eqcli.io.frame import plain
from eqcli.io.structure import FloatArray, Structure

RESERVED = frozenset({"energy", "forces", "stress", "virial", "charge", "total_charge", "selective_dynamics"})
"""Names that are read as labels; entries of the user get `original_` in front."""

MASK, DYNAMICS = "move_mask", "selective_dynamics"
MODULE = "pymatgen.core.structure"


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes the list, one structure per line, and returns how many there were."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for structure in structures:
            extra = {PROVENANCE_KEY: plain(provenance)} if provenance and count == 0 else {}
            file.write(",\n" if count else "[\n")
            file.write(json.dumps(as_dict(structure) | extra, separators=(",", ":")))
            count += 1
        file.write("\n]\n" if count else "[]\n")
    return count


def as_dict(structure: Structure) -> dict[str, Any]:
    """The dictionary of a pymatgen `Structure`, or of a `Molecule` where there is no cell.

    Raises InputError where the cell has no volume.
    """
    periodic = bool(structure.cell.any())
    if periodic:
        require_cell(structure, "pymatgen")
    found: dict[str, Any] = {"@module": MODULE, "@class": "Structure" if periodic else "Molecule"}
    found["charge"] = structure.charge if periodic else structure.charge or 0
    if periodic:
        found["lattice"] = _lattice(structure)
    else:
        found["spin_multiplicity"] = None
    return found | {"properties": _properties(structure), "sites": _sites(structure, periodic)}


def _lattice(structure: Structure) -> dict[str, Any]:
    lengths, angles = cell_parameters(structure.cell)
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    shape = dict(zip(names, (*lengths, *angles), strict=True))
    return {"matrix": structure.cell.tolist(), "pbc": structure.pbc.tolist(), **shape, "volume": structure.volume}


def _properties(structure: Structure) -> dict[str, Any]:
    found = {_free(key): plain(value) for key, value in structure.info.items()}
    labels = {"energy": structure.energy, "charge": structure.charge, "stress": structure.stress}
    return found | {name: plain(value) for name, value in labels.items() if value is not None}


def _sites(structure: Structure, periodic: bool) -> list[dict[str, Any]]:
    columns = {_free(name): plain(np.asarray(values)) for name, values in structure.arrays.items() if name != MASK}
    held = structure.fixed is not None or MASK in structure.arrays
    for name, values in (("forces", structure.forces), (DYNAMICS, structure.free_directions if held else None)):
        columns |= {} if values is None else {name: values.tolist()}
    positions = structure.positions.tolist()
    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T.tolist() if periodic else positions
    sites = []
    for i, z in enumerate(structure.numbers.tolist()):
        symbol = SYMBOLS[z]
        site = {"species": [{"element": symbol, "occu": 1}], "label": symbol, "xyz": positions[i]}
        site["properties"] = {name: values[i] for name, values in columns.items()}
        sites.append(site | ({"abc": fractions[i]} if periodic else {"name": symbol}))
    return sites


def _free(name: Any) -> str:
    return f"original_{name}" if str(name) in RESERVED else str(name)


def atoms_of(content: dict[str, Any]) -> tuple[list[str], FloatArray, FloatArray | None]:
    """Symbols, positions `[N, 3]` and cell of a dictionary; no cell where it is a molecule's.

    Raises ValueError for a site that is partly occupied, KeyError and the like for what is no structure.
    """
    sites = content["sites"]
    for site in sites:
        if len(site["species"]) != 1 or abs(site["species"][0].get("occu", 1) - 1) > 1e-3:
            raise ValueError(f"site {site.get('label', '?')} is partly occupied")
    symbols = [site["species"][0]["element"].rstrip("+-0123456789") for site in sites]
    if "lattice" not in content:
        return symbols, np.array([site["xyz"] for site in sites], dtype=np.float64), None
    cell = np.array(content["lattice"]["matrix"], dtype=np.float64).reshape(3, 3)
    return symbols, np.array([site["abc"] for site in sites], dtype=np.float64) @ cell, cell


def periods_of(content: dict[str, Any]) -> list[bool] | None:
    """Which directions repeat, where the dictionary says so."""
    stated = content.get("lattice", {}).get("pbc")
    return [bool(p) for p in stated] if isinstance(stated, list) and len(stated) == 3 else None


def properties_of(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Properties of the structure, and those of its sites that every site has.

    The charge is among them where it is not zero: pymatgen writes zero for an unknown one.
    """
    info = dict(content.get("properties") or {})
    if content.get("charge"):
        info.setdefault("charge", content["charge"])
    rows = [site.get("properties") or {} for site in content["sites"]]
    names = [name for name in rows[0] if all(row.get(name) is not None for row in rows)] if rows else []
    return info, {name: [row[name] for row in rows] for name in names}


def take_mask(arrays: dict[str, Any]) -> NDArray[np.bool_] | None:
    """The directions `[N, 3]` that atoms may move along, taken out of the arrays; None where nothing says so.

    Where some atoms are held in some directions only, the mask stays as the array `move_mask`.
    """
    mask = arrays.get(DYNAMICS)
    if mask is None or mask.dtype.kind != "b" or mask.ndim != 2 or mask.shape[1] != 3:
        return None
    del arrays[DYNAMICS]
    if (mask.any(axis=1) != mask.all(axis=1)).any():
        arrays[MASK] = mask
    return np.asarray(mask, dtype=bool)
