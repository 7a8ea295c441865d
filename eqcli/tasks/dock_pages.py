"""Pages of what was docked: one for each pair beside a file of poses; of a screen, one over all and of the best pairs.

A page that cannot be made is a warning: poses and tables are what a docking is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError, Where
from eqcli.files import file_stem, refuse_unwritable_folder
from eqcli.progress import Reporter
from eqcli.tasks.dock_page import POSES, write_pair_page
from eqcli.tasks.dock_pair import Source
from eqcli.tasks.dock_receptor import receptor_in, without_ligand
from eqcli.tasks.dock_request import DockRequest, requested_sources
from eqcli.tasks.dock_rows import PairRow, best_first
from eqcli.tasks.dock_screen_page import Key, write_screen_page
from eqcli.tasks.dock_shards import stored_poses

if TYPE_CHECKING:
    from eqcli.engine.docking_pose import RankBy
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.io.structure import Structure
    from eqcli.tasks.dock_work import DockedPair

PAGES: Final = "pages"
BEST: Final = 20
"""Pairs of a screen that have a page."""

SMILES: Final = (".smi", ".smiles")
"""Endings of files without positions."""

WARNINGS: Final = 5
"""Pages whose failure is told one by one."""


class PairPages:
    """A folder of pages, one for each pair."""

    def __init__(self, folder: Path, report: Reporter) -> None:
        self.folder = folder
        self.report = report
        self.stems: set[str] = set()
        self._failed = 0

    def write(
        self, name: str, receptor: Receptor, poses: Sequence[Structure], total: int, ligand: Ligand | None
    ) -> Path | None:
        """The page of a pair; None, and a warning, where it could not be made."""
        stem = file_stem(name, self.stems, "pair")
        path = self.folder / f"{stem}.html"
        try:
            write_pair_page(path, name, receptor, poses, total, ligand)
        except Exception as error:
            self.failed(name, error)
            return None
        self.stems.add(stem)
        return path

    def add(self, one: DockedPair) -> None:
        """The page of a pair that has just been docked; none where it failed."""
        if one.receptor is not None and not isinstance(one.pair.ligand, InputError):
            self.write(one.pair.name, one.receptor, one.poses, len(one.poses), one.pair.ligand)

    def failed(self, name: str, error: Exception) -> None:
        """Warns of a page that is missing."""
        self._failed += 1
        if self._failed <= WARNINGS:
            self.report.warning(f"no page of {name}: {' '.join(str(error).split()) or type(error).__name__}")
        elif self._failed == WARNINGS + 1:
            self.report.warning("more pages could not be made")

    def clear(self) -> None:
        """Removes the pages of an earlier docking, and the folder where none is left."""
        if not self.folder.is_dir():
            return
        for path in self.folder.glob("*.html"):
            if path.stem not in self.stems:
                path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def pages_beside(output: Path, *, overwrite: bool) -> Path:
    """The folder of the pages of a file of poses. Raises InputError where it is there already, or cannot be made."""
    folder = output.with_name(f"{output.stem}-pages")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(
            "this folder of pages exists already",
            Where(folder),
            "Choose another name with -o, or add --overwrite to replace the pages in it.",
        )
    refuse_unwritable_folder(folder)
    return folder


def write_pages(
    request: DockRequest,
    folder: Path,
    rows: Sequence[PairRow],
    by: RankBy,
    provenance: dict[str, Any],
    report: Reporter,
) -> Path | None:
    """The page over a screen, and those of its best pairs; None where the first could not be made."""
    pages = PairPages(folder / PAGES, report)
    linked: dict[Key, str] = {}
    if request.pages is not False:
        try:
            linked = _best_pages(request, folder, best_first(rows, by)[:BEST], pages)
        except Exception as error:
            pages.failed("the best pairs", error)
    try:
        pages.clear()
        return write_screen_page(folder, rows, rank_by=by, provenance=provenance, pages=linked)
    except Exception as error:
        pages.failed("the screen", error)
        return None


def _best_pages(request: DockRequest, folder: Path, best: Sequence[PairRow], pages: PairPages) -> dict[Key, str]:
    """The pages of rows by their keys; each receptor is read once, those of a row's place together."""
    sources = _sources(request, {row.row for row in best})
    ligands = {key: ligand for source in sources.values() for key, ligand in _given(source, best)}
    receptors: dict[object, Receptor] = {}
    found: dict[Key, str] = {}
    pages.report.start("pages", len(best), "pages")
    for row in best:
        ligand = ligands.get(row.key)
        try:
            source = sources[row.row]
            place = source.receptor, source.place
            if place not in receptors:
                receptors[place] = receptor_in(*place, request)
            receptor = receptors[place] if ligand is None else without_ligand(receptors[place], ligand)
            poses = stored_poses(folder, row, POSES)
            path = pages.write(row.name, receptor, poses, row.count, ligand)
            if path is not None:
                found[row.key] = f"{PAGES}/{path.name}"
        except Exception as error:
            pages.failed(row.name, error)
        pages.report.advance(1)
    pages.report.finish()
    return found


def _sources(request: DockRequest, wanted: set[int]) -> dict[int, Source]:
    """The rows of the table with these numbers."""
    found: dict[int, Source] = {}
    for source in requested_sources(request):
        if source.row in wanted:
            found[source.row] = source
        if len(found) == len(wanted):
            break
    return found


def _given(source: Source, best: Sequence[PairRow]) -> Iterator[tuple[Key, Ligand]]:
    """The ligands of a source's rows as its file has them, none for a SMILES; the file is read once."""
    from eqcli.io.ligand import ligand_of
    from eqcli.io.ligand_records import is_file, records_of

    wanted = {row.record: row for row in best if row.row == source.row and row.record is not None}
    if not wanted or not is_file(source.ligand) or any(ending in SMILES for ending in Path(source.ligand).suffixes):
        return
    for number, record in enumerate(islice(records_of(source.ligand, source.template), max(wanted) + 1)):
        if number in wanted and not isinstance(record, InputError) and record.given:
            with suppress(InputError):
                yield wanted[number].key, ligand_of(record.molecule, wanted[number].name)
