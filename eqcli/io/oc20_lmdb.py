"""Open Catalyst's LMDB databases: one pickled record of torch-geometric per structure, read without unpickling.

Records are under the keys 0, 1, 2 and so on; `length` says how many there are. In eV and Å. The energy is `y`, or
`y_init` where a record belongs to a relaxation (IS2RE): `y_relaxed` is the energy at `pos_relaxed`, not at `pos`,
and is kept apart. Forces are `force`; `fixed` marks the atoms held; `tags` (0 below the surface, 1 surface,
2 adsorbate), `sid`, `fid` and the like are kept. Edges are left out.

Source: Chanussot et al., ACS Catal. 11, 6059 (2021).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Items, plain
from eqcli.io.inert_objects import loads
from eqcli.io.inert_pickle import Inert
from eqcli.io.layout import Layout
from eqcli.io.lmdb_file import open_lmdb

LENGTH = b"length"
STRUCTURE = ("atomic_numbers", "pos", "cell", "natoms", "fixed", "pbc")
LEFT_OUT = ("edge_index", "cell_offsets", "distances", "nbr_offsets", "ptr", "batch", "neighbors")
"""Neighbour lists, made anew here."""


def read(path: Path) -> Items:
    """A structure per record; one that cannot be read is an error, and the others go on."""
    with open_lmdb(path) as transaction:
        for number in range(_count(path, transaction)):
            where = Where(path, number)
            content = transaction.get(str(number).encode())
            if content is None:
                yield InputError(f"there is no record '{number}'", where, "Is the file complete?")
                continue
            try:
                yield _frame(_fields(loads(content)), where)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                yield InputError(f"record '{number}' is not a structure of Open Catalyst: {what}", where)
            except InputError as error:
                yield error


def _count(path: Path, transaction: Any) -> int:
    """Number of records."""
    stated = transaction.get(LENGTH)
    count = transaction.stat()["entries"]
    if stated is not None:
        try:
            count = int(loads(stated))
        except (ValueError, TypeError) as error:
            raise InputError(f"the number of records cannot be read: {error}", Where(path, key="length")) from error
    if count < 1:
        raise InputError("the database is empty", Where(path))
    if stated is None and transaction.get(b"0") is None:
        raise InputError(
            "this is not a database of Open Catalyst: there is no record '0'", Where(path),
            "Databases of ASE end with .aselmdb.",
        )  # fmt: skip
    return count


def _fields(record: Any) -> dict[str, Any]:
    """The attributes of a torch-geometric `Data`: in a store since version 2, its own before."""
    if isinstance(record, Inert):
        store = record.state.get("_store")
        record = store.state.get("_mapping") if isinstance(store, Inert) else record.state
    if not isinstance(record, dict):
        raise ValueError(f"found {type(record).__name__}, expected a torch-geometric Data")
    return {str(key): value for key, value in record.items() if value is not None and not str(key).startswith("_")}


def _frame(fields: dict[str, Any], where: Where) -> Frame:
    numbers = _numbers(fields["atomic_numbers"])
    positions = _table(fields["pos"], len(numbers), "pos")
    natoms = np.asarray(fields.get("natoms", len(numbers))).ravel()
    if natoms.tolist() != [len(numbers)]:
        raise ValueError(f"'natoms' is {natoms.tolist()} and there are {len(numbers)} atoms")
    cell = np.asarray(fields["cell"], dtype=np.float64).reshape(-1, 3) if "cell" in fields else None
    if cell is not None and cell.shape != (3, 3):
        raise ValueError(f"'cell' is {cell.shape[0]} x 3")
    info, arrays = _sorted_in(fields, len(numbers))
    fixed = _per_atom(fields, "fixed", len(numbers))
    pbc = np.asarray(fields["pbc"], dtype=bool).ravel() if "pbc" in fields else None
    return Frame(
        numbers=numbers,
        positions=positions,
        cell=cell,
        # Slabs of Open Catalyst were computed, and are modelled, as periodic in all directions.
        pbc=np.full(3, cell is not None) if pbc is None or pbc.size != 3 else pbc,
        info=info,
        arrays=arrays,
        fixed=None if fixed is None else fixed.astype(bool),
        where=where,
        implicit_labels="none",
        layout=Layout("Open Catalyst", "y" if "y" in info else "y_init", "force", remark=_remark(info)),
    )


def _remark(info: dict[str, Any]) -> str:
    return "'y_relaxed' belongs to 'pos_relaxed' and is no label of these positions" if "y_relaxed" in info else ""


def _numbers(values: Any) -> NDArray[np.int64]:
    """Atomic numbers, which Open Catalyst keeps as floats."""
    raw = np.asarray(values, dtype=np.float64).ravel()
    if not raw.size or not ((raw > 0) & (raw < len(NUMBERS)) & (raw == np.rint(raw))).all():
        raise ValueError(f"'atomic_numbers' holds what is none: {raw[:5].tolist()}")
    return raw.astype(np.int64)


def _table(values: Any, natoms: int, key: str) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.shape != (natoms, 3):
        raise ValueError(f"'{key}' is {' x '.join(map(str, table.shape))}; expected {natoms} x 3")
    return table


def _per_atom(fields: dict[str, Any], key: str, natoms: int) -> NDArray[Any] | None:
    values = np.asarray(fields[key]) if key in fields else None
    if values is not None and values.shape[:1] != (natoms,):
        raise ValueError(f"'{key}' has {values.size} entries and there are {natoms} atoms")
    return values


def _sorted_in(fields: dict[str, Any], natoms: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What stays with the structure, and what with its atoms."""
    info: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for key, value in fields.items():
        if key in STRUCTURE or key in LEFT_OUT or isinstance(value, Inert):
            continue
        if isinstance(value, np.ndarray) and value.size != 1 and value.shape[:1] == (natoms,):
            arrays[key] = value
        elif isinstance(value, np.ndarray):
            info[key] = value.item() if value.size == 1 else plain(value)
        else:
            info[key] = plain(value)
    if natoms == 1:
        arrays |= {key: np.reshape(fields[key], (1, -1)) for key in ("force", "pos_relaxed") if key in info}
        info = {key: value for key, value in info.items() if key not in arrays}
    return info, arrays
