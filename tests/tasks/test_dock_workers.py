"""Screens by several workers: the folder is that of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eqcli.engine.cluster.workers import Lost
from eqcli.errors import ExitCode, InputError
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.tasks import dock_workers
from eqcli.tasks.dock import dock
from eqcli.tasks.dock_request import DockRequest
from eqcli.tasks.dock_workers import WORK, DockJob
from eqcli.tasks.stream.heartbeat import read_beats
from tests.killed_workers import one_killed
from tests.tasks.dock_case import StubNetwork, use_network, write_ligands, write_receptor
from tests.tasks.test_dock_screen import asked, make_table, rows_of


class Pool:
    """Does batches here, the last first; over some of them it loses its workers."""

    def __init__(self, lost: frozenset[int] = frozenset(), end: int | None = None) -> None:
        self.lost = lost
        self.end = end
        self.seen: list[Any] = []

    def __call__(self, *arguments: Any, **options: Any) -> Pool:
        return self

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None: ...

    def map(
        self, function: Callable[..., Any], numbers: Iterator[int], job: DockJob, content: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        for number in sorted(numbers, reverse=self.end is None):
            if number == self.end:
                raise RuntimeError("power cut")
            lost = Lost("3 workers died over it") if number in self.lost else None
            yield number, lost or function(job, number, content(number))
            self.seen.append(read_beats(job.work))


@pytest.fixture
def few_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three pairs."""
    monkeypatch.setattr("eqcli.tasks.dock_work.TOGETHER", 3)
    monkeypatch.setattr(dock_workers, "_OPENED", [])
    use_network(monkeypatch, StubNetwork())


@pytest.mark.usefixtures("few_together")
def test_the_folder_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(tmp_path)
    alone = dock(asked(table), tmp_path / "alone")
    pool = Pool()
    monkeypatch.setattr(dock_workers, "open_workers", pool)
    shared = dock(asked(table), tmp_path / "shared", workers=2)
    assert rows_of(tmp_path / "shared") == rows_of(tmp_path / "alone")
    assert rows_of(tmp_path / "shared", "ranked.csv") == rows_of(tmp_path / "alone", "ranked.csv")
    poses = [(tmp_path / name / "poses-0000.sdf").read_bytes() for name in ("shared", "alone")]
    assert poses[0] == poses[1]
    assert log_of(tmp_path / "shared") == log_of(tmp_path / "alone")
    assert (shared.pairs, shared.docked, shared.exit_code) == (alone.pairs, alone.docked, ExitCode.PARTIAL)
    assert shared.failures == alone.failures
    assert [beat.items for beat in pool.seen[-1]] == [14]
    assert not (tmp_path / "shared" / WORK).exists()


def log_of(folder: Path) -> list[str]:
    return sorted((folder / "log.txt").read_text().splitlines())


@pytest.mark.usefixtures("few_together")
def test_pairs_that_workers_die_over_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dock_workers, "open_workers", Pool(frozenset([1])))
    dock(asked(make_table(tmp_path)), tmp_path / "out", workers=2)
    rows = rows_of(tmp_path / "out")
    given_up = [row["name"] for row in rows if row["reason"] == "it was given up: 3 workers died over it"]
    assert given_up == ["lig3", "lig4", "lig5"]
    assert len(rows) == 14


@pytest.mark.usefixtures("few_together")
@pytest.mark.parametrize("end", [0, 2])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_cut_off_goes_on_with_any_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int, workers: int
) -> None:
    table = make_table(tmp_path)
    dock(asked(table), tmp_path / "alone")
    with monkeypatch.context() as patch:
        patch.setattr(dock_workers, "open_workers", Pool(end=end))
        with pytest.raises(RuntimeError, match="power cut"):
            dock(asked(table), tmp_path / "out", workers=2)
    assert len(rows_of(tmp_path / "out")) == 3 * end if end else not (tmp_path / "out" / "results.csv").exists()
    monkeypatch.setattr(dock_workers, "open_workers", Pool())
    result = dock(asked(table), tmp_path / "out", resume=True, workers=workers)
    assert result.earlier == 3 * end
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "alone")


@pytest.mark.usefixtures("few_together")
def test_a_file_of_poses_is_written_by_one_process(tmp_path: Path) -> None:
    receptor, library = write_receptor(tmp_path), write_ligands(tmp_path)
    request = DockRequest("model.safetensors", receptor, [str(library)], network_only=True, device="cpu")
    with pytest.raises(InputError, match="--workers and --cluster: for screens"):
        dock(request, tmp_path / "out.sdf", workers=2)


def test_workers_that_are_processes_though_one_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From names that belong to the folder of the command."""
    write_receptor(tmp_path)
    write_ligands(tmp_path, ["CCO", "CCN", "COC", "CCS"])
    monkeypatch.chdir(tmp_path)
    request = DockRequest(
        "physics", Path("peptide.pdb"), ["library.smi"], poses=1, effort=0.01, pocket="0,0,0:4", minimise="none",
        device="cpu", pages=False,
    )  # fmt: skip
    dock(request, Path("alone"))
    with one_killed(tmp_path / "out" / WORK) as killed:
        dock(request, Path("out"), cluster=ClusterRecipe(task="cluster", scheduler="local", workers=2, cores=1))
    assert killed
    assert rows_of(Path("out")) == rows_of(Path("alone"))
    assert Path("out/poses-0000.sdf").read_bytes() == Path("alone/poses-0000.sdf").read_bytes()
