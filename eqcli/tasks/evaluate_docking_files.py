"""The files of an evaluation of docking: poses and pages of each complex, then tables and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eqcli.files import file_stem
from eqcli.tasks.evaluate_docking_run import posed

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.tasks.evaluate_docking_input import DockingCase
    from eqcli.tasks.evaluate_docking_result import DockingEvaluation
    from eqcli.tasks.evaluate_docking_rows import PairRecord
    from eqcli.tasks.evaluate_docking_run import Docked

PAGES: Final = "pages"


def write_case(result: DockingEvaluation, case: DockingCase, docked: Sequence[Docked], *, pages: bool) -> None:
    """`poses/NAME.sdf` with every pose of every method, and `pages/NAME.html`; nothing where all methods failed."""
    from eqcli.io import write_structures
    from eqcli.report.depictions import depiction
    from eqcli.report.html import Markup
    from eqcli.report.pose_page import PagePose, pose_page

    poses = [pose_structure(one, k) for one in docked for k in range(len(one.poses))]
    result.pictures[case.name] = Markup(depiction(case.ligand.structure, width=150, height=96))
    if not poses:
        return
    result.stems[case.name] = stem = file_stem(case.name, result.stems.values(), "complex")
    write_structures(result.poses / f"{stem}.sdf", poses, overwrite=True)
    if pages:
        first = [PagePose(_label(one), posed(one, 0)) for one in docked if one.errors is not None]
        crystal = case.ligand.structure
        title = f"{case.name}: {case.ligand.name}"
        pose_page(case.receptor.structure, first, result.output / PAGES / f"{stem}.html", title=title, crystal=crystal)


def _label(one: Docked) -> str:
    assert one.errors is not None
    return f"{one.method.name}, {one.method.mode}: RMSD {one.errors.rmsd[0]:.1f} Å"


def pose_structure(one: Docked, rank: int) -> Structure:
    """A pose with the data items that poses in files have, and its errors."""
    assert one.errors is not None
    pose, structure = one.poses[rank], posed(one, rank)
    items: dict[str, Any] = {
        "name": one.case.ligand.name,
        "receptor": one.case.receptor.name,
        "ligand": one.case.ligand.name,
        "rank": rank + 1,
        "method": one.method.name,
        "site": one.method.mode,
        "score": pose.score,
        "confidence": pose.confidence,
        "pocket": pose.pocket,
        "clashes": one.clashes[rank] if one.clashes else None,
        "strain": one.strains.get(rank, pose.strain),
        "rmsd": float(one.errors.rmsd[rank]),
        "centroid": float(one.errors.centroid[rank]),
    }
    kept = {key: value for key, value in items.items() if value is not None and not _is_nan(value)}
    return replace(structure, info=structure.info | kept)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not np.isfinite(value)


def write_evaluation(
    result: DockingEvaluation, records: Sequence[PairRecord], loaded: ModelFile | None, sources: Sequence[Path]
) -> None:
    """`complexes.csv`, `metrics.json`, the plots and, last, the page."""
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path, sha256
    from eqcli.report.csv_text import csv_text
    from eqcli.report.docking import docking_page
    from eqcli.report.docking_plots import docking_plots
    from eqcli.report.write import finite, write_report
    from eqcli.tasks.inference import inference_provenance

    facts = provenance() if loaded is None else inference_provenance(loaded)
    facts |= {"sources": {str(p): sha256(p) if p.is_file() else "folder" for p in sources}}
    with atomic_path(result.table) as temporary:
        temporary.write_text(csv_text(result.complexes), encoding="utf-8")
    content = finite(result.as_dict())
    curves = [
        {"method": one.method, "pocket": one.mode, "trained_on": one.status, "rmsd": one.row["rmsd"],
         "points": [list(point) for point in one.points]}
        for one in records
    ]  # fmt: skip
    plots = docking_plots(curves)
    page = docking_page(content, result.complexes, plots, facts, pages=_pages(result), pictures=result.pictures)
    write_report(result.output, page, content | {"provenance": facts}, plots, data_name=result.metrics.name)


def _pages(result: DockingEvaluation) -> dict[str, str]:
    """Complex -> its page, relative to the report."""
    return {
        name: f"{PAGES}/{stem}.html"
        for name, stem in result.stems.items()
        if (result.output / PAGES / f"{stem}.html").is_file()
    }
