"""Docking of ligands into a receptor, to one file of poses; screens are `dock_screen`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.dock_pages import PairPages, pages_beside
from eqcli.tasks.dock_pair import Pair, pairs_of
from eqcli.tasks.dock_request import DockRequest, make_docker, requested_sources
from eqcli.tasks.dock_result import SHOWN, DockResult, ShownPose
from eqcli.tasks.dock_work import DockedPair, PairDocker
from eqcli.tasks.stream.division import AUTO, Workers

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.recipe.cluster import ClusterRecipe

NOTES = 40
"""Lines about what was changed in receptors and ligands that are told without a log."""


def dock(
    request: DockRequest,
    output: Path | None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    workers: Workers = AUTO,
    cluster: ClusterRecipe | None = None,
    report: Reporter | None = None,
) -> DockResult:
    """Docks every pair of a request.

    Parameters
    ----------
    output
        A file for all poses (`.sdf`, `.h5`, ...), or a folder for a screen: a name without an ending is one, and a
        table needs one. None writes nothing.
    overwrite
        Whether a file, or the results of an earlier screen, may be replaced.
    resume
        Whether an interrupted screen goes on in its folder.
    workers
        Processes that share the pairs of a screen. `auto`: as the cluster says, or else this one.
    cluster
        What brings them up on other machines; None for processes of this one.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole. What concerns one pair is a row of `failures`. An interruption
        leaves what is done in the output.
    """
    report = report or Silent()
    request.check()
    if output is not None and (request.table is not None or _is_folder(output)):
        from eqcli.tasks.dock_screen import screen

        count = workers if workers != AUTO else cluster.workers if cluster is not None else 1
        return screen(
            request, output, overwrite=overwrite, resume=resume, report=report, workers=count, cluster=cluster
        )
    if request.table is not None:
        raise InputError("a table of pairs needs a folder for its results", hint="Name one with -o, e.g. -o out/.")
    if request.pages and output is None:
        raise InputError("--pages: pages are written beside the poses", hint="Name a file of poses with -o.")
    if resume:
        raise InputError("--resume: for screens, whose output is a folder", hint="Name a folder with -o, e.g. -o out/.")
    if cluster is not None or workers not in (1, AUTO):
        raise InputError(
            "--workers and --cluster: for screens, whose output is a folder", hint="Name one with -o, e.g. -o out/."
        )
    return _to_file(request, output, overwrite, report)


def _is_folder(output: Path) -> bool:
    return output.is_dir() or not output.suffix


def _to_file(request: DockRequest, output: Path | None, overwrite: bool, report: Reporter) -> DockResult:
    from eqcli.io import write_structures
    from eqcli.tasks.inference import refuse_unwritable

    sources = list(requested_sources(request))
    inputs = [Path(source.ligand) for source in sources if len(source.ligand) < 200]
    refuse_unwritable(output, [*inputs, *(source.receptor for source in sources)], overwrite)
    pages = None
    if request.pages and output is not None:
        pages = PairPages(pages_beside(output, overwrite=overwrite), report)
    docker, provenance, device = make_docker(request)
    notes = _FirstNotes(report)
    run = _Run(DockResult(model=request.model, device=device), PairDocker(docker, request, notes), report, pages)
    report.message(f"docking on {device}")
    report.start("dock", None, "pairs")
    begin = time.perf_counter()
    try:
        poses = run.poses(pair for source in sources for pair in pairs_of(source))
        first = next(poses, None)
        if first is not None and output is not None:
            write_structures(output, _chained(first, poses), overwrite=overwrite, provenance=provenance)
            run.result.output = output
        for _ in poses:
            pass
    finally:
        report.finish()
    run.result.seconds = time.perf_counter() - begin
    if pages is not None and run.result.output is not None:
        pages.clear()
        run.result.pages = pages.folder if pages.stems else None
    if run.interrupted:
        raise KeyboardInterrupt
    run.show()
    return run.result


def _chained(first: Structure, rest: Iterator[Structure]) -> Iterator[Structure]:
    yield first
    yield from rest


class _FirstNotes:
    """Tells the first rules that applied; a folder has room for all of them."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self.count = 0

    def __call__(self, line: str) -> None:
        self.count += 1
        if self.count <= NOTES:
            self.report.message(line)
        elif self.count == NOTES + 1:
            self.report.message("further notes are left out; with a folder as output, log.txt has all of them")


class _Run:
    """Pairs that are docked one after the other while their poses are written."""

    def __init__(
        self, result: DockResult, docker: PairDocker, report: Reporter, pages: PairPages | None = None
    ) -> None:
        self.result = result
        self.docker = docker
        self.report = report
        self.pages = pages
        self.interrupted = False
        self._shown: list[list[Structure]] = []

    def poses(self, pairs: Iterator[Pair]) -> Iterator[Structure]:
        """The poses of all pairs; an interruption ends them as if there were no more, so that these are written."""
        try:
            for batch in self.docker.batches(pairs):
                for one in self.docker.dock(batch):
                    yield from self._counted(one)
        except KeyboardInterrupt:
            self.interrupted = True

    def _counted(self, one: DockedPair) -> Iterator[Structure]:
        self.result.pairs += 1
        if one.failure is not None:
            self.result.failures.append(one.failure)
        else:
            self.result.docked += 1
            self.result.poses += len(one.poses)
            if len(self._shown) < SHOWN:
                self._shown.append(one.poses)
        self.report.advance(1)
        yield from one.poses
        if self.pages is not None:
            self.pages.add(one)

    def show(self) -> None:
        """Every pose of a single ligand, the best of each of several."""
        chosen = self._shown[0] if len(self._shown) == 1 else [poses[0] for poses in self._shown]
        order = chosen if len(self._shown) == 1 else sorted(chosen, key=lambda pose: float(pose.info["score"]))
        self.result.rows = [shown(rank, pose) for rank, pose in enumerate(order, start=1)]


def shown(rank: int, pose: Structure) -> ShownPose:
    """The row of a pose."""
    info = pose.info
    return ShownPose(
        rank, info["name"], info["receptor"], info["rank"], info["method"], info["score"],
        info.get("confidence"), info.get("strain"), info.get("clashes"), info.get("pocket"),
    )  # fmt: skip
