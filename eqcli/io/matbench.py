"""Matbench's tables: `index`, `columns` and `data`, one row with a pymatgen structure and its properties.

The property (`e_form` in eV per atom, `gap pbe` in eV, `log10(K_VRH)`, ...) is kept under its column's name, the index
of the row as `name`. No property is an energy label unless it is named. Rows are read one after the other.

Source: Dunn et al., npj Comput. Mater. 6, 138 (2020).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Items
from eqcli.io.json_stream import JsonStream, item
from eqcli.io.layout import Layout

START = re.compile(r'\{\s*"(index|columns|data)"\s*:\s*\[')
LAYOUT = Layout("Matbench", remark="properties are kept under the names of their columns")
STRUCTURE = ("structure", "Structure", "molecule")


def read(path: Path, stream: JsonStream, frame: Callable[[Any, Where], Frame]) -> Items:
    """A structure per row; `frame` makes it of a record."""
    columns: list[str] | None = None
    index: list[Any] = []
    number = 0
    for key in stream.keys():  # noqa: SIM118
        if key == "index":
            index = [value for _, value in stream.elements()]
        elif key == "columns":
            columns = [str(name) for _, name in stream.elements()]
        elif key != "data":
            stream.value()
        elif columns is None:
            raise InputError("the data stand before the names of their columns", Where(path, line=stream.line, key=key))
        else:
            name = _structure_column(columns, Where(path, line=stream.line, key="columns"))
            for number, (line, row) in enumerate(stream.elements(), 1):
                where = Where(path, number - 1, line)
                made = item(_record(row, columns, name), where, frame)
                if isinstance(made, Frame):
                    made.layout, made.implicit_labels = LAYOUT, "none"
                    made.info |= {"name": str(index[number - 1])} if number <= len(index) else {}
                yield made
    if number == 0:
        raise InputError("the table has no rows", Where(path, key="data"))


def _structure_column(columns: list[str], where: Where) -> str:
    found = next((name for name in STRUCTURE if name in columns), None)
    if found is None:
        names = ", ".join(columns)
        raise InputError(f"no column holds structures; found {names}", where, "A table of compositions has no atoms.")
    return found


def _record(row: Any, columns: list[str], structure: str) -> Any:
    """The row as a record with the key `structure`; what is no row is left as it is, and refused with a reason."""
    if not isinstance(row, list) or len(row) != len(columns):
        return row
    values = dict(zip(columns, row, strict=True))
    return {"structure": values.pop(structure), **values}
