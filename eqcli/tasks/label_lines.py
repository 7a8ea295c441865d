"""What the columns of input files are taken for, said before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.label_summary import LabelReport
    from eqcli.io.structure import Structure

FRAMES = 200
"""Frames of each file that are looked at."""


def reference_labels(path: Path, labels: LabelConvention | None) -> LabelConvention:
    """`labels`, with the `REF_` entries of the file in place of equally named ones that were not asked for.

    A file of predictions carries what a model said under the standard names and the
    labels that it was given under these: to compare the model with itself is never meant.
    """
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.label_summary import label_report

    wanted = labels or LabelConvention()
    unused = label_report(path, wanted, frames=FRAMES).unused
    names = {name: f"REF_{name}" for name in ("energy", "forces", "stress")}
    return wanted.model_copy(
        update={name: key for name, key in names.items() if getattr(wanted, name) is None and unused[key]}
    )


def with_reference(structure: Structure) -> Structure:
    """The structure with its `REF_` entries as labels: a dataset file has no names to choose among."""
    import numpy as np

    def array(value: Any) -> Any:
        return None if value is None else np.asarray(value, dtype=np.float64).reshape(-1, 3)

    found = {
        "energy": structure.info.get("REF_energy"),
        "forces": array(structure.arrays.get("REF_forces")),
        "stress": array(structure.info.get("REF_stress")),
    }
    return replace(structure, **{name: value for name, value in found.items() if value is not None})


def tell_labels(paths: Sequence[Path], labels: LabelConvention | None, report: Reporter) -> list[LabelReport]:
    """One summary per file; `report` hears which columns are labels, and in which units."""
    from eqcli.io.label_summary import label_report

    summaries = [label_report(path, labels, frames=FRAMES) for path in paths]
    for summary in summaries:
        for line in summary.lines():
            report.message(line)
    return summaries
