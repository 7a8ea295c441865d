"""Structures in and out: one module per file format, and the rules that turn file contents into labels.

Members load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.formats import FORMATS, Format, format_of
    from eqcli.io.label_summary import LabelReport, label_report
    from eqcli.io.reading import read_structures
    from eqcli.io.store import DatasetFile
    from eqcli.io.store_writer import DatasetWriter
    from eqcli.io.structure import Structure
    from eqcli.io.writing import write_structures

__all__ = [
    "FORMATS",
    "DatasetFile",
    "DatasetWriter",
    "Format",
    "LabelConvention",
    "LabelReport",
    "Structure",
    "format_of",
    "label_report",
    "read_structures",
    "write_structures",
]

_HOMES = {
    "FORMATS": "formats",
    "DatasetFile": "store",
    "DatasetWriter": "store_writer",
    "Format": "formats",
    "LabelConvention": "conventions",
    "LabelReport": "label_summary",
    "Structure": "structure",
    "format_of": "formats",
    "label_report": "label_summary",
    "read_structures": "reading",
    "write_structures": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
