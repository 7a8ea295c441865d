"""MD17 and its relatives, `.npz` arrays of one molecule along a trajectory.

rMD17 has `nuclear_charges`, `coords`, `energies`, `forces` and `old_indices`; MD17 and sGDML have `z`, `R`, `E`
and `F`, with `theory` or `md5`. Both are in kcal/mol and Å, unless `e_unit` and `r_unit` say otherwise; arrays with
these names and nothing that tells the set have no known unit. `old_indices`, which count in the original MD17,
`old_energies` and `old_forces` stay with the frames. Rows are read one after the other.

Sources: Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020); Chmiela et al., Sci. Adv. 3,
e1603015 (2017).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.conventions import EnergyUnit, LengthUnit
from eqcli.io.frame import Frame, Items
from eqcli.io.layout import Layout
from eqcli.io.npz_stream import NpzStream
from eqcli.io.unit_names import ENERGY_UNITS, LENGTH_UNITS

KEYS = {
    "numbers": ("nuclear_charges", "z"),
    "positions": ("coords", "R"),
    "energy": ("energies", "E"),
    "forces": ("forces", "F"),
}
ORIGINS = {"old_indices": "rMD17", "old_energies": "rMD17", "theory": "MD17", "md5": "MD17"}
"""Arrays that no other set of this shape has."""


def read(path: Path) -> Items:
    """A structure per row."""
    with NpzStream(path) as arrays:
        names = {name: next((k for k in keys if k in arrays), None) for name, keys in KEYS.items()}
        for name in ("numbers", "positions"):
            if names[name] is None:
                found = ", ".join(f"'{key}'" for key in arrays.shapes) or "none"
                expected = " or ".join(f"'{key}'" for key in KEYS[name])
                raise InputError(f"there is no array {expected}; found {found}", Where(path, key=KEYS[name][0]))
        yield from _frames(path, arrays, names)


def _frames(path: Path, arrays: NpzStream, names: dict[str, str | None]) -> Items:
    key = str(names["positions"])
    shape = arrays.shapes[key]
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        size = " x ".join(map(str, shape))
        raise InputError(f"'{key}' is {size}; expected structures x atoms x 3", Where(path, key=key))
    numbers = _numbers(path, arrays, str(names["numbers"]), shape)
    cell = _cell(path, arrays)
    layout = _layout(path, arrays, names)
    per_structure, per_atom = _others(path, arrays, names, shape)
    streams = {k: arrays.rows(k) for k in (key, *per_structure, *per_atom)}
    for number, xyz in enumerate(streams[key]):
        yield Frame(
            numbers=numbers,
            positions=xyz.astype(np.float64),
            cell=cell,
            pbc=np.full(3, cell is not None),
            info={k: next(streams[k]).item() for k in per_structure},
            arrays={k: next(streams[k]).astype(np.float64) for k in per_atom},
            where=Where(path, number),
            implicit_labels="none",
            layout=layout,
        )


def _numbers(path: Path, arrays: NpzStream, key: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    values = arrays.whole(key)
    if values.shape != (shape[1],) or values.dtype.kind not in "iuf":
        size = " x ".join(map(str, values.shape))
        message = f"'{key}' is {size} of {values.dtype}; expected {shape[1]} atomic numbers, one list for all"
        raise InputError(message, Where(path, key=key))
    if not ((values > 0) & (values < len(NUMBERS)) & (values == np.rint(values))).all():
        raise InputError(f"'{key}' holds what is no atomic number: {values.tolist()}", Where(path, key=key))
    return values.astype(np.int64)


def _cell(path: Path, arrays: NpzStream) -> NDArray[np.float64] | None:
    """The periods of sGDML's `lattice`, whose columns they are."""
    if "lattice" not in arrays:
        return None
    lattice = arrays.whole("lattice")
    if lattice.shape != (3, 3) or lattice.dtype.kind != "f":
        raise InputError("'lattice' is not 3 x 3 numbers", Where(path, key="lattice"))
    return np.ascontiguousarray(lattice.T, dtype=np.float64)


def _layout(path: Path, arrays: NpzStream, names: dict[str, str | None]) -> Layout:
    origin = next((name for key, name in ORIGINS.items() if key in arrays), None)
    energy: EnergyUnit | None = "kcal/mol" if origin else None
    length: LengthUnit | None = None
    if (stated := _text(arrays, "e_unit")) is not None:
        energy = _known(path, "e_unit", stated, ENERGY_UNITS)
    if (stated := _text(arrays, "r_unit")) is not None:
        length = _known(path, "r_unit", stated, LENGTH_UNITS)
    labels = [name for name in (names["energy"], names["forces"], "old_energies", "old_forces") if name is not None]
    return Layout(
        f"{origin} arrays" if origin else "arrays named as in MD17",
        energy=names["energy"],
        forces=names["forces"],
        units={} if energy is None else dict.fromkeys(labels, energy),
        length_unit=length,
        remark="" if energy else "nothing in the file tells the unit of its energies",
    )


def _known(path: Path, key: str, stated: str, units: dict[str, Any]) -> Any:
    unit = units.get(stated.strip().lower())
    if unit is None:
        raise InputError(f"the unit '{stated[:20]}' is unknown; known are {', '.join(units)}", Where(path, key=key))
    return unit


def _text(arrays: NpzStream, key: str) -> str | None:
    """A text that an array holds, `U` or `S`."""
    if key not in arrays or arrays.dtypes[key].kind not in "US" or arrays.shapes[key] not in ((), (1,)):
        return None
    value = arrays.whole(key).item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _others(
    path: Path, arrays: NpzStream, names: dict[str, str | None], shape: tuple[int, ...]
) -> tuple[list[str], list[str]]:
    """Names of the arrays with one number per structure, and with three per atom. Labels must be among them."""
    numeric = [key for key in arrays.shapes if arrays.dtypes[key].kind in "fiu" and key != names["positions"]]
    per_structure = [key for key in numeric if arrays.shapes[key] in ((shape[0],), (shape[0], 1))]
    per_atom = [key for key in numeric if arrays.shapes[key] == shape]
    for name, kept, size in (("energy", per_structure, shape[:1]), ("forces", per_atom, shape)):
        key = names[name]
        if key is not None and key not in kept:
            found, expected = (" x ".join(map(str, s)) for s in (arrays.shapes[key], size))
            raise InputError(f"'{key}' is {found}; expected {expected} numbers", Where(path, key=key))
    # Atomic numbers of a file with as many structures as atoms.
    return [key for key in per_structure if key != names["numbers"]], per_atom
