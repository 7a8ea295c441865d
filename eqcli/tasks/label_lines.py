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


def tell_labels(paths: Sequence[Path], labels: LabelConvention | None, report: Reporter) -> list[LabelReport]:
    """One summary per file; `report` hears which columns are labels, and in which units."""
    from eqcli.io.label_summary import label_report

    summaries = [label_report(path, labels, frames=FRAMES) for path in paths]
    for summary in summaries:
        for line in summary.lines():
            report.message(line)
    return summaries
