"""What the columns of input files are taken for, said before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.label_summary import LabelReport

FRAMES = 200
"""Frames of each file that are looked at."""


def reference_labels(path: Path, labels: LabelConvention | None) -> LabelReport:
    """The summary of a file with its `REF_` entries in place of equally named labels that were not asked for.

    A file of predictions carries what a model said under the standard names and the
    labels that it was given under these: to compare the model with itself is never meant.
    """
    from eqcli.io.label_summary import label_report

    found = label_report(path, labels, frames=FRAMES)
    names = {name: f"REF_{name}" for name in ("energy", "forces", "stress")}
    references = {name: key for name, key in names.items() if getattr(found.labels, name) is None and found.unused[key]}
    return label_report(path, found.labels.model_copy(update=references), frames=FRAMES) if references else found


def tell_labels(paths: Sequence[Path], labels: LabelConvention | None, report: Reporter) -> list[LabelReport]:
    """One summary per file; `report` hears which columns are labels, and in which units."""
    from eqcli.io.label_summary import label_report

    summaries = [label_report(path, labels, frames=FRAMES) for path in paths]
    tell(summaries, report)
    return summaries


def tell(summaries: Sequence[LabelReport], report: Reporter) -> None:
    """Tells `report` which columns are labels, and in which units."""
    for summary in summaries:
        for line in summary.lines():
            report.message(line)
