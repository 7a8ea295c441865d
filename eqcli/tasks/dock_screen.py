"""Docking of many pairs into a folder: streamed, logged, ranked, and going on where a killed run stopped.

The folder holds `results.csv` (a row for each pair, on the disk when the pair is done), `poses-0000.sdf`, ...,
`log.txt` (what the rules of preparation changed), `screen.json` (what it was made from) and, at the end, `ranked.csv`
and `index.html` with the pages of the best pairs.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from eqcli.errors import Failure, InputError, Where
from eqcli.files import refuse_unwritable_folder, write_json
from eqcli.interrupts import uninterrupted
from eqcli.locks import FolderLock
from eqcli.progress import Reporter, Silent
from eqcli.report.write import PAGE
from eqcli.tasks.dock_pages import PAGES, PairPages, write_pages
from eqcli.tasks.dock_pair import pairs_of
from eqcli.tasks.dock_request import DockRequest, make_docker, requested_sources
from eqcli.tasks.dock_result import SHOWN, DockResult, ShownPose
from eqcli.tasks.dock_rows import RANKED, RESULTS, PairRow, ResultsFile, best_first, write_ranked
from eqcli.tasks.dock_shards import PoseFiles
from eqcli.tasks.dock_work import DockedPair, PairDocker
from eqcli.tasks.dock_workers import DockedBatch, dock_by_workers

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

FACTS, LOG = "screen.json", "log.txt"

FAILURES_SHOWN = 50
"""Failures that are listed at the end; all of them are in the table."""


def screen(
    request: DockRequest,
    folder: Path,
    *,
    overwrite: bool,
    resume: bool,
    report: Reporter,
    workers: int = 1,
    cluster: ClusterRecipe | None = None,
) -> DockResult:
    """Docks the pairs of a request that `folder` has no row of; see `dock.dock`."""
    refuse_unwritable_folder(folder)
    sources = requested_sources(request)
    with FolderLock(folder):
        rows = _earlier(request, folder, overwrite, resume)
        docker, provenance, device = make_docker(request)
        write_json(folder / FACTS, {"request": request.facts(), "provenance": provenance})
        result = DockResult(folder, request.model, device=device, earlier=len(rows))
        done = Counter(row.row for row in rows)
        if rows:
            report.message(f"{len(rows)} pairs are done already")
        shared = workers > 1 or cluster is not None
        report.message("docking by workers" if shared else f"docking on {device}")
        with (folder / LOG).open("a", encoding="utf-8") as log:
            work = _Screen(folder, rows, PairDocker(docker, request, lambda line: _say(log, line)), log, report)
            begin = time.perf_counter()
            batches = work.docker.batches(pair for source in sources for pair in pairs_of(source, done[source.row]))
            try:
                if shared:
                    work.take(dock_by_workers(request, folder, batches, workers, cluster, report))
                else:
                    work.take(DockedBatch(work.docker.dock(batch), []) for batch in batches)
            finally:
                report.finish()
            result.seconds = time.perf_counter() - begin
        _ended(result, work.rows, docker.settings.rank_by, folder)
        if work.rows:
            result.pages = write_pages(request, folder, work.rows, docker.settings.rank_by, provenance, report)
    if not result.pairs:
        raise InputError("there are no pairs in it", Where(request.table))
    return result


def _say(log: TextIO, line: str) -> None:
    log.write(line + "\n")


def _earlier(request: DockRequest, folder: Path, overwrite: bool, resume: bool) -> list[PairRow]:
    """The rows of an interrupted screen of the same request. Raises InputError where another is in the folder."""
    results, files = ResultsFile(folder / RESULTS), PoseFiles(folder)
    if results.path.exists() and not (resume or overwrite):
        raise InputError(
            "there are results of a screen in this folder",
            Where(results.path),
            "Go on with them by --resume, replace them by --overwrite, or choose another folder with -o.",
        )
    if not results.path.exists() and not overwrite:
        _refuse_other_pages(folder)
    if not resume:
        for name in (RESULTS, RANKED, LOG, FACTS, PAGE):
            (folder / name).unlink(missing_ok=True)
        files.recover([])
        PairPages(folder / PAGES, Silent()).clear()
        return []
    if (folder / FACTS).exists():
        _refuse_other_request(json.loads((folder / FACTS).read_text(encoding="utf-8")), request, folder)
    rows = results.recover()
    files.recover(rows)
    return rows


def _refuse_other_pages(folder: Path) -> None:
    """Raises InputError where pages stand that are no screen's, for those of a screen would replace them."""
    for path in (folder / PAGE, *(folder / PAGES).glob("*.html")):
        if path.exists():
            raise InputError(
                "there is a page in this folder, and a screen writes pages of this name",
                Where(path),
                "Choose another folder with -o, or add --overwrite to replace it.",
            )


def _refuse_other_request(facts: dict[str, Any], request: DockRequest, folder: Path) -> None:
    before, now = facts.get("request", {}), json.loads(json.dumps(request.facts()))
    changed = [key for key in now if now[key] != before.get(key)]
    if "settings" in changed:
        old, new = before.get("settings") or {}, now["settings"]
        changed.remove("settings")
        changed += [key for key in new if new[key] != old.get(key)]
    if changed:
        raise InputError(
            f"the screen in this folder was made with another {', '.join(changed)}",
            Where(folder / FACTS),
            "Give the options that it was made with, or --overwrite to begin anew.",
        )


class _Screen:
    """The pairs of a screen, each on the disk before the next."""

    def __init__(self, folder: Path, rows: list[PairRow], docker: PairDocker, log: TextIO, report: Reporter) -> None:
        self.rows = rows
        self.docker = docker
        self.log = log
        self.report = report
        self.results = ResultsFile(folder / RESULTS)
        self.files = PoseFiles(folder, pairs=len(rows))

    def take(self, batches: Iterator[DockedBatch]) -> None:
        """Keeps what is left to dock as it comes."""
        self.report.start("dock", None, "pairs")
        self.report.advance(len(self.rows))
        told: set[str] = set()
        for batch in batches:
            for line in batch.log:
                # Each worker reads a receptor for itself.
                if line not in told:
                    _say(self.log, line)
                if line.startswith("receptor "):
                    told.add(line)
            self._keep(batch.docked)
            self.report.advance(len(batch.docked))

    def _keep(self, docked: Sequence[DockedPair]) -> None:
        """Poses before rows: a row never speaks of poses that are not there."""
        with uninterrupted():
            places = self.files.add([one.poses for one in docked])
            rows = [_row(one, *place) for one, place in zip(docked, places, strict=True)]
            self.results.append(rows)
            self.rows += rows
            self.log.flush()


def _row(one: DockedPair, file: str, start: int, end: int) -> PairRow:
    source, pair = one.pair.source, one.pair
    common: dict[str, Any] = {
        "row": source.row,
        "record": pair.record,
        "name": pair.name,
        "receptor": str(source.receptor),
        "ligand": source.ligand,
        "seconds": round(one.seconds, 4),
        "notes": len(one.notes),
    }
    if not one.poses:
        reason = one.failure.reason if one.failure else "no pose was found"
        return PairRow(**common, status="failed", reason=" ".join(reason.split()))
    best = one.poses[0].info
    figures: dict[str, Any] = {name: best.get(name) for name in ("method", "score", "confidence", "clashes", "strain")}
    return PairRow(**common, **figures, status="ok", count=len(one.poses), poses=file, start=start, end=end)


def _ended(result: DockResult, rows: list[PairRow], by: Any, folder: Path) -> None:
    """Counts, the ranking and its file."""
    result.pairs = len(rows)
    result.docked = sum(row.status == "ok" for row in rows)
    result.poses = sum(row.count for row in rows)
    order = best_first(rows, by)
    write_ranked(folder / RANKED, order)
    result.rows = [
        ShownPose(rank, row.name, Path(row.receptor).name, 1, row.method, row.score or 0.0, row.confidence,
                  row.strain, row.clashes, None)
        for rank, row in enumerate(order[:SHOWN], start=1)
    ]  # fmt: skip
    failed = [row for row in rows if row.status != "ok"]
    result.failures = [Failure(row.name, row.reason, Where(row.ligand, row.record)) for row in failed[:FAILURES_SHOWN]]
    if len(failed) > FAILURES_SHOWN:
        rest = len(failed) - FAILURES_SHOWN
        result.failures.append(Failure(f"{rest} more pairs", f"see {RESULTS}", Where(folder / RESULTS)))
