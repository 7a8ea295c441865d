"""Requests in chunks: order, numbers, formats, what is refused."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.engine.listed import Listed
from eqcli.engine.predictor import Predictor
from eqcli.errors import ExitCode, InputError
from eqcli.io import DatasetFile, read_structures, write_structures
from eqcli.io.formats import FORMATS
from eqcli.locks import LOCK_FILE, FolderLock
from eqcli.tasks.stream.items import ReadItems, StoredItems, bounds
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.run_chunk import stored_items
from eqcli.tasks.stream.spool import spool
from eqcli.tasks.stream.work_folder import WorkFolder
from tests.tasks.stream.case import (
    CHUNK_ATOMS,
    CHUNK_ITEMS,
    assert_same_columns,
    evaluated,
    here,
    in_process,
    kill_when,
    run,
    slow_run,
    structure,
    write_store,
)

__all__ = ["here"]

BROKEN = "2\n\nC 0.0 0.0 zero\nO 1.0 0.0 0.0\n"
"""A frame that cannot be read."""

MANY = [spec.suffixes[0] for spec in FORMATS.values() if spec.writes and spec.many and not spec.bonds]


@pytest.mark.parametrize("suffix", MANY)
def test_every_format_has_the_results_in_order(here: Path, suffix: str) -> None:
    crystals = [replace(structure(n), cell=np.eye(3) * 9.0, pbc=True, info={}) for n in range(30)]
    write_structures(here / "in.h5", crystals)
    result = run(here, ["in.h5"], f"out{suffix}")
    assert (result.structures, result.failures) == (30, [])
    assert not (here / f"out{suffix}.work").exists()
    assert not (here / f"out{suffix}.failed.csv").exists()
    if FORMATS["csv"].suffixes[0] == suffix:
        rows = (here / "out.csv").read_text().splitlines()
        assert len([row for row in rows if not row.startswith("#")]) == 31
        return
    found = list(read_structures(here / f"out{suffix}"))
    assert [len(one) for one in found] == [len(one) for one in crystals]
    for one, given in zip(found, crystals, strict=True):
        distances = np.linalg.norm(np.diff(one.positions, axis=0), axis=1)
        np.testing.assert_allclose(distances, np.linalg.norm(np.diff(given.positions, axis=0), axis=1), atol=2e-3)


def test_what_fails_keeps_its_number_and_the_others_their_order(here: Path) -> None:
    write_structures(here / "a.extxyz", [structure(n, element=26 if n == 3 else 6) for n in range(5)])
    text = (here / "a.extxyz").read_text()
    write_structures(here / "b.extxyz", [structure(n) for n in range(6, 20)])
    (here / "a.extxyz").write_text(text + BROKEN)
    write_store(here / "c.h5", range(20, 34))
    result = run(here, ["a.extxyz", "b.extxyz", "c.h5"], "out.h5")
    assert result.exit_code == ExitCode.PARTIAL
    found = [one.info["number"] for one in read_structures(here / "out.h5")]
    assert found == [0, 1, 2, 4, *range(6, 34)]
    with (here / "out.h5.failed.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["item"]) for row in rows] == [3, 5]
    assert [Path(row["file"]).name for row in rows] == ["a.extxyz", "a.extxyz"]
    assert [row["frame"] for row in rows] == ["3", "5"]
    assert "Fe" in rows[0]["reason"]
    assert [failure.where.frame for failure in result.failures] == [3, 5]
    run(here, ["c.h5"], "out.h5", overwrite=True)
    assert not (here / "out.h5.failed.csv").exists()


def test_each_output_has_a_table_of_its_own_that_goes_with_it(here: Path) -> None:
    write_structures(here / "bad.extxyz", [structure(n, element=26 if n == 3 else 6) for n in range(5)])
    write_store(here / "good.h5", range(5))
    run(here, ["bad.extxyz"], "out.h5")
    run(here, ["good.h5"], "out.csv")
    assert (here / "out.h5.failed.csv").exists()
    assert not (here / "out.csv.failed.csv").exists()
    (here / "out.h5").unlink()
    run(here, ["good.h5"], "out.h5")
    assert not (here / "out.h5.failed.csv").exists()


def test_stored_read_and_spooled_items_are_the_same(here: Path) -> None:
    write_store(here / "in.h5", range(40))
    write_structures(here / "in.extxyz", [structure(n) for n in range(40)])
    (here / "in.extxyz").write_text((here / "in.extxyz").read_text() + BROKEN)
    requests = [
        StreamRequest("predict", (here / name,), max_items=CHUNK_ITEMS, max_atoms=CHUNK_ATOMS)
        for name in ("in.h5", "in.extxyz")
    ]
    (here / "work").mkdir()
    spool(requests[1], here / "work")
    spooled = stored_items(WorkFolder(here / "work"), requests[1])
    read, stored = list(ReadItems(requests[1]).chunks()), list(StoredItems(requests[0]).chunks())
    assert [(c.start, c.stop) for c in spooled.chunks()] == [(c.start, c.stop) for c in read]
    assert [c.start for c in stored] == [c.start for c in read][: len(stored)]
    assert spooled.total == 41
    for one, other in zip(spooled.chunks(), read, strict=True):
        for a, b in zip(one.load(), other.load(), strict=True):
            assert (a.number, a.where) == (b.number, b.where)
            if isinstance(b.structure, InputError):
                assert isinstance(a.structure, InputError)
                assert str(a.structure) == str(b.structure)
            else:
                np.testing.assert_array_equal(a.structure.positions, b.structure.positions)
                assert a.structure.energy == b.structure.energy


def test_bounds_are_a_function_of_the_sizes() -> None:
    sizes = np.array([3, 3, 3, 50, 1, 0, 0, 9, 9])
    assert bounds(sizes, max_items=3, max_atoms=10).tolist() == [0, 3, 4, 7, 8, 9]
    assert bounds(sizes, max_items=100, max_atoms=1000).tolist() == [0, 9]
    assert bounds(sizes[:0], max_items=3, max_atoms=10).tolist() == [0]


def unfinished(here: Path) -> None:
    """Leaves the work of a prediction of `in.h5` that was killed."""
    write_store(here / "in.h5", range(60))
    process = in_process(slow_run, here, ["in.h5"], "out.h5", seconds=0.02)
    kill_when(lambda: len(evaluated(here, "out.h5")) > 20, process)


def test_unfinished_work_is_not_touched_unasked(here: Path) -> None:
    unfinished(here)
    files = [path for path in (here / "out.h5.work").rglob("*") if path.is_file() and path.name != LOCK_FILE]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(InputError, match="unfinished work is here") as caught:
        run(here, ["in.h5"], "out.h5")
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint
    with pytest.raises(InputError, match="another stress, batch_atoms"):
        run(here, ["in.h5"], "out.h5", resume=True, batch_atoms=13, stress=False)
    other = here / "other"
    other.mkdir()
    write_store(other / "in.h5", range(61))
    with pytest.raises(InputError, match="another inputs"):
        run(here, ["other/in.h5"], "out.h5", resume=True)
    assert {path: path.read_bytes() for path in before} == before
    assert len(evaluated(here, "out.h5")) < 60


def test_overwriting_begins_anew(here: Path) -> None:
    unfinished(here)
    result = run(here, ["in.h5"], "out.h5", overwrite=True, batch_atoms=13)
    assert result.structures == 60
    assert not (here / "out.h5.work").exists()


def test_a_second_coordinator_is_refused(here: Path) -> None:
    unfinished(here)

    def other() -> None:
        with pytest.raises(InputError, match="another process is working"):
            run(here, ["in.h5"], "out.h5", resume=True)

    with FolderLock(here / "out.h5.work"):
        process = in_process(other)
        process.join(60)
    assert process.exitcode == 0
    assert run(here, ["in.h5"], "out.h5", resume=True).structures == 60


def test_resuming_what_is_complete_is_refused_as_any_output_that_exists(here: Path) -> None:
    write_store(here / "in.h5", range(5))
    run(here, ["in.h5"], "out.h5")
    with pytest.raises(InputError, match="exists already"):
        run(here, ["in.h5"], "out.h5", resume=True)


def test_resuming_what_was_never_begun_begins(here: Path) -> None:
    write_store(here / "in.h5", range(5))
    assert run(here, ["in.h5"], "out.h5", resume=True).structures == 5


def test_things_of_others_in_the_work_folder_are_left_alone(here: Path) -> None:
    write_store(here / "in.h5", range(5))
    (here / "out.h5.work").mkdir()
    (here / "out.h5.work" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="not part of unfinished work"):
        run(here, ["in.h5"], "out.h5", overwrite=True)
    assert (here / "out.h5.work" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("options", [{"resume": True}, {"workers": 2}])
def test_without_an_output_there_is_nothing_to_go_on_with(here: Path, options: dict[str, object]) -> None:
    from eqcli.tasks.predict import predict

    write_store(here / "in.h5", range(5))
    with pytest.raises(InputError, match="needs a file"):
        predict(here / "model.safetensors", [here / "in.h5"], None, **options)


def test_several_structures_for_a_format_of_one_cost_no_work(here: Path) -> None:
    write_structures(here / "in.h5", [replace(structure(n), cell=np.eye(3) * 9.0, pbc=True) for n in range(3)])
    with pytest.raises(InputError, match="holds one structure"):
        run(here, ["in.h5"], "out.vasp")
    assert {path.name for path in here.iterdir()} == {"model.safetensors", "in.h5"}


def test_a_full_disk_loses_nothing_that_was_committed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.tasks.stream.chunk_file import ChunkFile

    write_store(here / "in.h5", range(60))
    run(here, ["in.h5"], "whole.h5")
    plain, calls = ChunkFile.commit, []

    def full(self: ChunkFile) -> None:
        calls.append(self)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        plain(self)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkFile, "commit", full)
        with pytest.raises(OSError, match="No space"):
            run(here, ["in.h5"], "out.h5")
    again = in_process(slow_run, here, ["in.h5"], "out.h5", seconds=0.0, resume=True)
    again.join(60)
    assert again.exitcode == 0
    assert len(evaluated(here, "out.h5")) < 60
    assert_same_columns(here / "out.h5", here / "whole.h5")


def test_the_budget_that_was_measured_is_used_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished(here)
    folder = WorkFolder(here / "out.h5.work")
    facts = folder.budget("cpu")
    assert facts["atoms"] == 12
    folder.keep_budget("cpu", {**facts, "atoms": 5})
    plain, sizes = Predictor._attempt, []

    def attempt(self: Predictor, items: list[Listed]) -> object:
        sizes.append(sum(item.atoms for item in items))
        return plain(self, items)

    monkeypatch.setattr(Predictor, "_attempt", attempt)
    run(here, ["in.h5"], "out.h5", resume=True)
    assert sizes
    assert max(sizes) <= 5
    assert len(DatasetFile(here / "out.h5")) == 60
