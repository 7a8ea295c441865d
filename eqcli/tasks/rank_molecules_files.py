"""The files of a ranking of molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.files import atomic_path
from eqcli.tasks.rank_molecules_result import RankMoleculesResult
from eqcli.tasks.screen_files import TABLE as DROPPED
from eqcli.tasks.screen_files import write_dropped
from eqcli.tasks.screen_result import DroppedMolecule

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

MOLECULES, TABLE, PAGE, GALLERY = "ranked.sdf", "ranked.csv", "index.html", "gallery.html"

KEPT = ("bonds", "sample", "seed", "model")
"""Entries of `info` that a ranked molecule keeps beside its figures."""


def write_ranking(
    output: Path,
    structures: Sequence[Structure],
    ranked: list[dict[str, Any]],
    dropped: Sequence[DroppedMolecule],
    by: str,
    best: str,
    earlier: Mapping[str, Mapping[str, int]],
    asked: Sequence[str],
) -> RankMoleculesResult:
    """Writes everything into a folder: the SD file, both tables, the gallery, and last the page."""
    from eqcli.engine.provenance import provenance
    from eqcli.metrics.molecules.checks import versions
    from eqcli.report.csv_text import csv_text
    from eqcli.report.molecules_gallery import molecules_gallery
    from eqcli.report.ranked_molecules import ranked_page

    output.mkdir(parents=True, exist_ok=True)
    sdf, table, dropped_table, page = (output / name for name in (MOLECULES, TABLE, DROPPED, PAGE))
    result = RankMoleculesResult(output, sdf, table, dropped_table, page, by, best, ranked, dropped, earlier=earlier)
    libraries = {name: version for name, version in versions().items() if version is not None}
    origin = provenance() | {"ranked_by": f"{by}, {best} first", "libraries": libraries}
    _write_molecules(result.molecules, [_named(*pair) for pair in zip(structures, ranked, strict=True)], origin)
    names = list(dict.fromkeys(name for row in ranked for name in row))
    with atomic_path(result.table) as temporary:
        text = csv_text([{name: row.get(name) for name in names} for row in ranked])
        temporary.write_text(text or "rank,smiles\n", encoding="utf-8")
    write_dropped(result.dropped_table, dropped, DroppedMolecule)
    links = {name: name for name in (MOLECULES, TABLE, DROPPED)}
    (output / GALLERY).unlink(missing_ok=True)
    if ranked:
        judged = [{**row, "valid": True, "connected": True} for row in ranked]
        molecules_gallery(structures, judged, output / GALLERY, title="Ranked molecules", provenance=origin)
        result.gallery = output / GALLERY
        links = {"gallery in three dimensions": GALLERY, **links}
    ranked_page(
        structures,
        ranked,
        result.page,
        title="Ranked molecules",
        order=f"By {by}, the {best} first",
        by=by,
        dropped={**earlier, output.name: result.counts},
        asked=asked,
        links=links,
        provenance=origin,
    )
    return result


def _write_molecules(path: Path, structures: Sequence[Structure], origin: Mapping[str, Any]) -> None:
    """Writes the SD file, which has no records where nothing is ranked."""
    from eqcli.io import write_structures

    if structures:
        write_structures(path, structures, overwrite=True, provenance=dict(origin))
        return
    with atomic_path(path) as temporary:
        temporary.touch()


def _named(structure: Structure, row: Mapping[str, Any]) -> Structure:
    """A ranked molecule with its figures as entries, and without what only its relaxation needed."""
    info = {name: structure.info[name] for name in KEPT if name in structure.info}
    figures = {name: value for name, value in row.items() if name not in ("energy", "n_atoms")}
    arrays = {name: values for name, values in structure.arrays.items() if name in ("formal_charge", "scaffold")}
    return replace(structure, info={**info, **figures, "name": f"{row['rank']:03d}"}, arrays=arrays)
