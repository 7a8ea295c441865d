"""The folder of a report: page, JSON and plots, each written whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, refuse_unwritable_folder
from eqcli.report.svg import Plot

PAGE, DATA, PLOTS = "index.html", "report.json", "plots"


def refuse_report(folder: Path, overwrite: bool) -> None:
    """Raises InputError when `folder` is a file or cannot be written into, or holds anything and may not be."""
    if folder.exists() and not folder.is_dir():
        raise InputError("the report is a folder, and this is a file", Where(folder), "Choose another name with -o.")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            "this folder exists already",
            Where(folder),
            "Choose another name with -o, or add --overwrite to replace the report in it.",
        )
    refuse_unwritable_folder(folder)


def write_report(
    folder: Path, page: str, data: Mapping[str, Any], plots: Sequence[Plot], *, data_name: str = DATA
) -> None:
    """Writes the report into `folder`; plots of an older report that are no longer drawn go away."""
    drawn = folder / PLOTS
    for plot in plots:
        _write(drawn / f"{plot.name}.svg", plot.standalone())
        with atomic_path(drawn / f"{plot.name}.png") as temporary:
            temporary.write_bytes(plot.document.png)
    for old in drawn.glob("*"):
        if old.suffix in (".svg", ".png") and old.stem not in {plot.name for plot in plots}:
            old.unlink()
    _write(folder / data_name, json.dumps(finite(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    # Last, so that a page that is there is complete.
    _write(folder / PAGE, page)


def _write(path: Path, content: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def finite(value: Any) -> Any:
    """The same data with null in place of NaN and infinity, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
