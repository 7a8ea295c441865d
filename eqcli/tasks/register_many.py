"""Registration of many pairs into a folder: in several processes, and going on where a killed run stopped.

The folder holds `results/NAME.json` (a file for each pair, on the disk when the pair is done), `transforms/NAME.txt`
(the matrices of those that are reliable), `register.json` (what it was made from) and, at the end, `results.csv` and,
with a pose graph, `poses.json` and `poses.txt`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError, Where
from eqcli.files import refuse_unwritable_folder
from eqcli.locks import FolderLock
from eqcli.progress import Reporter, Silent
from eqcli.tasks.register_many_folder import prepare
from eqcli.tasks.register_many_request import PairsRequest
from eqcli.tasks.register_many_result import PairsResult
from eqcli.tasks.register_pair import RegisterPair
from eqcli.tasks.register_poses import Nodes, place_clouds
from eqcli.tasks.register_rows import TABLE, PairRecord, failed_row, stems_of, stored, write_table

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair


def register_pairs(
    request: PairsRequest,
    folder: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    report: Reporter | None = None,
) -> PairsResult:
    """Registers every pair that `folder` has no result of.

    Parameters
    ----------
    overwrite
        Whether the results of an earlier run may be replaced.
    resume
        Whether an interrupted run goes on.

    Raises
    ------
    InputError
        The request cannot be carried out as a whole. What concerns one pair is its row, and one of `failures`.
    """
    report = report or Silent()
    request.check()
    refuse_unwritable_folder(folder)
    _refuse_merged(request, overwrite or resume)
    pairs = list(_found(request.pairs))
    usable = [pair for pair in pairs if not isinstance(pair, Failure)]
    if not pairs:
        raise InputError("there are no pairs in it", Where(request.pairs))
    nodes = Nodes.of(usable) if request.pose_graph else None
    reference = None if nodes is None or request.reference is None else nodes.number(request.reference)
    with FolderLock(folder):
        provenance = prepare(request, usable, folder, overwrite, resume)
        begin = time.perf_counter()
        work = _Work(request, folder, pairs, report)
        try:
            earlier = work.run()
        finally:
            work.write_table()
        result = PairsResult(folder, [record.row for record in work.records()], earlier, time.perf_counter() - begin)
        if nodes is not None:
            result.poses, graph = place_clouds(nodes, work.records(), folder, reference, provenance)
            for name, turn, shift in result.poses.rejected:
                report.warning(f"{name} does not fit the other pairs: it is off by {turn:.2f} degrees and {shift:.3g}")
            if request.merged is not None:
                from eqcli.tasks.register_merged import merge

                merge(request.merged, request.options, nodes, graph, work.records(), result.poses, report)
    return result


def _refuse_merged(request: PairsRequest, replaced: bool) -> None:
    from eqcli.tasks.register_files import refuse_cloud

    if request.merged is not None:
        refuse_cloud(request.merged, (), replaced)


def _found(path: Path) -> Iterator[CloudPair | Failure]:
    from eqcli.data.cloud_pairs import find_pairs

    yield from find_pairs(path)


class _Work:
    """The pairs of a list, those that are done and those that wait."""

    def __init__(
        self, request: PairsRequest, folder: Path, pairs: Sequence[CloudPair | Failure], report: Reporter
    ) -> None:
        self.request, self.folder, self.pairs, self.report = request, folder, pairs, report
        self.stems = stems_of([pair.item if isinstance(pair, Failure) else pair.name for pair in pairs])
        self._done: dict[int, PairRecord] = {}

    def run(self) -> int:
        """Registers what is left; how many had been done before."""
        from eqcli.metrics.work import measure

        waiting = []
        for k, (stem, pair) in enumerate(zip(self.stems, self.pairs, strict=True)):
            if isinstance(pair, Failure):
                self._done[k] = PairRecord(failed_row(pair), {})
            elif (known := stored(self.folder, stem)) is not None:
                self._done[k] = known
            else:
                waiting.append((k, stem, pair))
        earlier = len(self.pairs) - len(waiting)
        if not waiting:
            return earlier
        if earlier:
            self.report.message(f"{earlier} of {len(self.pairs)} pairs are done already")
        options = replace(self.request.options, threads=self.request.options.threads or 1)
        found = measure(
            RegisterPair(options, self.folder),
            [(stem, pair) for _, stem, pair in waiting],
            workers=self._workers(),
            label="register",
            report=_Pairs(self.report),
        )
        for (k, stem, pair), outcome in zip(waiting, found, strict=True):
            failed = failed_row(Failure(pair.name, outcome.failure or ""))
            self._done[k] = stored(self.folder, stem) or PairRecord(failed, {})
        return earlier

    def _workers(self) -> int | None:
        """One process where a network may use the accelerator, which has no room for several."""
        if self.request.workers is None and self.request.options.model is not None:
            from eqcli.engine.device import choose_device

            return None if choose_device(self.request.options.device).type == "cpu" else 1
        return self.request.workers

    def records(self) -> list[PairRecord]:
        """What became of the pairs, in their order."""
        return [self._done[k] for k in range(len(self.pairs))]

    def write_table(self) -> None:
        """The table of what is done so far."""
        for k, (stem, pair) in enumerate(zip(self.stems, self.pairs, strict=True)):
            if k not in self._done and not isinstance(pair, Failure) and (known := stored(self.folder, stem)):
                self._done[k] = known
        write_table(self.folder / TABLE, [self._done[k].row for k in sorted(self._done)])


class _Pairs(Silent):
    """Passes on what a measurement says, whose items are pairs here."""

    def __init__(self, report: Reporter) -> None:
        self.report = report

    def message(self, text: str) -> None:
        self.report.message(text)

    def warning(self, text: str) -> None:
        self.report.warning(text)

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        self.report.start(label, total, "pairs")

    def advance(self, n: int = 1, **figures: float) -> None:
        self.report.advance(n, **figures)

    def finish(self) -> None:
        self.report.finish()
