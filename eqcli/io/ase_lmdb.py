"""ASE's databases in LMDB (`.aselmdb`), as OMat24, OMol25 and OC22 are distributed.

Rows are zlib-compressed JSON under the keys 1, 2, 3 and so on; `nextid` ends them and `deleted_ids` names gaps. A row
has the entries of a row in ASE's SQLite database, in its units and signs.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io.ase_db import frame_of_row
from eqcli.io.frame import Items
from eqcli.io.lmdb_file import open_lmdb


def read(path: Path) -> Items:
    """A structure per row, in the order of the ids; a row that cannot be read is an error, and the others go on."""
    with open_lmdb(path) as transaction:
        end = _json(transaction, Where(path, key="nextid"))
        if not isinstance(end, int):
            raise InputError("this is not a database of ASE: it has no 'nextid'", Where(path, key="nextid"))
        deleted = set(_json(transaction, Where(path, key="deleted_ids")) or ())
        number = 0
        for row in range(1, end):
            if row in deleted:
                continue
            where = Where(path, number)
            number += 1
            try:
                content = _json(transaction, Where(path, number - 1, key=str(row)))
                if not isinstance(content, dict):
                    raise ValueError("there is none" if content is None else f"found {type(content).__name__}")
                yield frame_of_row(_entries(content), row, where)
            except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                yield InputError(f"row {row} of the database cannot be read: {what}", where)
            except InputError as error:
                yield error
        if number == 0:
            raise InputError("the database is empty", Where(path))


def _json(transaction: Any, where: Where) -> Any:
    """The content under the key of that place, or None. Raises InputError where it is not compressed JSON."""
    content = transaction.get(str(where.key).encode())
    if content is None:
        return None
    try:
        return json.loads(zlib.decompress(content))
    except (zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"this is not compressed JSON: {error}", where) from error


def _entries(row: dict[str, Any]) -> dict[str, Any]:
    """The entries with ASE's marks for arrays resolved; data may be JSON within JSON."""
    data = row.get("data")
    return _plain({**row, "data": json.loads(data) if isinstance(data, str) else data})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if "__ndarray__" in value:
            shape, dtype, flat = value["__ndarray__"]
            return np.array(flat, dtype=dtype).reshape(shape)
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
