"""The standing of work, told from the files that it leaves."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.engine.cluster.submission import RECORD
from eqcli.errors import InputError
from eqcli.files import write_json
from eqcli.io import DatasetWriter, Structure
from eqcli.locks import FolderLock, is_locked
from eqcli.tasks.status.result import duration, speed
from eqcli.tasks.status.status import status
from eqcli.tasks.stream.chunk_file import ChunkFile
from eqcli.tasks.stream.heartbeat import Beat, Heartbeat
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.work_folder import WorkFolder


def _hold(folder: Path, held: Any, end: Any) -> None:
    with FolderLock(folder):
        held.set()
        end.wait(60)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Another process holds the folder."""
    context = multiprocessing.get_context("fork")
    held, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder, held, end))
    process.start()
    try:
        assert held.wait(30)
        yield
    finally:
        end.set()
        process.join(30)


def _training(folder: Path, epochs: int, seconds: float) -> Path:
    """A run that has done some epochs of a hundred steps, each in so many seconds."""
    folder.mkdir()
    now = time.time()
    (folder / "recipe.yaml").write_text("name: run\ntraining: {max_epochs: 40}\n")
    (folder / "provenance.json").write_text("{}")
    rows = [f"{epoch},{100 * epoch},{1 / epoch}" for epoch in range(1, epochs + 1)]
    (folder / "metrics.csv").write_text("\n".join(["epoch,step,valid_loss", *rows, "99,99"]))
    for name in ("recipe.yaml", "provenance.json"):
        os.utime(folder / name, (now - epochs * seconds,) * 2)
    os.utime(folder / "metrics.csv", (now, now))
    return folder


def test_a_training_under_way_tells_how_long_it_takes(tmp_path: Path) -> None:
    folder = _training(tmp_path / "run", 10, 6.0)
    with working_in(folder):
        assert is_locked(folder)
        found = status(folder)
    assert (found.state, found.done, found.total, found.facts["step"]) == ("running", 10, 40, 1000)
    assert found.rate == pytest.approx(1 / 6, rel=0.01)
    assert found.left == pytest.approx(180, rel=0.01)
    assert "left" in dict(found.summary())


def test_a_resumed_training_counts_from_where_it_went_on(tmp_path: Path) -> None:
    folder = _training(tmp_path / "run", 10, 6.0)
    now = time.time()
    (folder / "checkpoints").mkdir()
    mark = folder / "checkpoints" / "step-000000600.safetensors"
    mark.touch()
    os.utime(mark, (now - 1000, now - 1000))
    os.utime(folder / "provenance.json", (now - 2000, now - 2000))
    os.utime(folder / "recipe.yaml", (now - 80, now - 80))
    with working_in(folder):
        assert status(folder).rate == pytest.approx(4 / 80, rel=0.02)


def test_a_training_that_stopped_and_one_that_ended(tmp_path: Path) -> None:
    folder = _training(tmp_path / "run", 10, 6.0)
    found = status(folder)
    assert found.state == "stopped"
    assert found.rate is None
    assert "--resume" in found.notes[0]
    write_json(folder / "result.json", {"epochs": 40, "steps": 4000, "best_epoch": 38, "model": "m"})
    assert (status(folder).state, status(folder).done) == ("done", 40)


def _molecule(number: int) -> Structure:
    return Structure(np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1 + 0.01 * number]]))


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    """Twenty structures in chunks of eight: one is done, one under way."""
    with DatasetWriter(tmp_path / "in.h5") as writer:
        for number in range(20):
            writer.append(_molecule(number))
    folder = WorkFolder.of(tmp_path / "out.h5")
    folder.create(StreamRequest("predict", (tmp_path / "in.h5",), max_items=8), {})
    for number, count in ((0, 8), (1, 3)):
        chunk = ChunkFile(folder.path, number)
        for item in range(8 * number, 8 * number + count):
            if item in (2, 9):
                chunk.fail(item, "it is odd")
            else:
                chunk.add(item, _molecule(item))
        if number == 0:
            chunk.finish()
        else:
            chunk.commit()
            chunk.close()
    now = time.time()
    for pid, chunk_number, silent, items in ((1, 1, 1.0, 10), (2, 0, 999.0, 1)):
        beat = Beat("node", pid, "cpu", "float64", now - silent - 5, now - silent, chunk=chunk_number, items=items)
        write_json(folder.path / "workers" / f"node-{pid}.json", asdict(beat))
    return folder


@pytest.mark.parametrize("name", ["out.h5", "out.h5.work"])
def test_a_request_under_way(work: WorkFolder, name: str) -> None:
    before = sorted(path.stat().st_mtime_ns for path in work.path.rglob("*"))
    with working_in(work.path):
        found = status(work.path.with_name(name))
    assert (found.kind, found.state) == ("predict", "running")
    assert (found.done, found.failed, found.total) == (11, 2, 20)
    assert found.rate == pytest.approx(2.0, rel=0.05)  # of the one that lives
    assert found.left == pytest.approx(4.5, rel=0.05)
    assert {worker.worker: worker.stale for worker in found.workers} == {"node-1": False, "node-2": True}
    assert "node-2" in found.notes[0]
    assert len(found.rows) == 2
    assert sorted(path.stat().st_mtime_ns for path in work.path.rglob("*") if path.name != ".lock") == before


def test_a_request_that_stopped_waits_for_its_job(
    work: WorkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(tmp_path / "out.h5").state == "stopped"
    notes = {"waiting": "goes on from here", "running": "its job runs", "stopped": "with --resume"}
    record = {"scheduler": "slurm", "job": "7", "command": [], "folder": "", "script": "", "log": "l", "submitted": ""}
    write_json(tmp_path / "out.h5.jobs" / RECORD, record)
    programs = tmp_path / "bin"
    programs.mkdir()
    for word, state in (("PENDING", "waiting"), ("RUNNING", "running"), ("TIMEOUT", "stopped")):
        (programs / "squeue").write_text(f"#!/bin/bash\necho '{word} (Resources)'\n")
        (programs / "squeue").chmod(0o700)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        found = status(tmp_path / "out.h5")
        assert found.state == state
        assert found.job is not None
        assert found.job.said == f"{word.lower()} (Resources)"
        (note,) = found.notes
        assert notes[state] in note


@pytest.mark.parametrize("damage", ["request.json", "chunk-000000.done", "chunk-000001.h5", "workers/node-1.json"])
def test_files_that_are_half_there_do_not_matter(work: WorkFolder, tmp_path: Path, damage: str) -> None:
    whole = (work.path / damage).read_bytes()
    for text in (whole[: len(whole) // 3], b""):
        (work.path / damage).write_bytes(text)
        assert status(tmp_path / "out.h5").done <= 11


def test_an_output_that_is_written(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "out.h5") as writer:
        for number in range(5):
            writer.append(_molecule(number))
    (tmp_path / "out.h5.failed.csv").write_text("item,reason\n3,odd\n")
    found = status(tmp_path / "out.h5")
    assert (found.state, found.done, found.failed) == ("done", 6, 1)


def test_a_pipeline_and_its_steps(tmp_path: Path) -> None:
    steps: dict[str, Any] = {
        "fit": {"status": "done", "seconds": 10.0, "message": ""},
        "use": {"status": "running", "seconds": 0.0, "message": ""},
    }
    folder = tmp_path / "pipe"
    write_json(folder / "pipeline.json", {"steps": steps})
    _training(folder / "use", 10, 6.0)
    with working_in(folder), working_in(folder / "use"):
        assert status(folder).notes == ["use: 10 of 40 epochs, about 3 min 0 s left"]
        assert [(step.step, step.status) for step in status(folder).steps] == [("fit", "done"), ("use", "running")]
    found = status(folder)
    assert found.state == "stopped"
    assert found.steps[1].status == "interrupted"
    steps["use"]["status"] = "not converged"
    write_json(folder / "pipeline.json", {"steps": steps})
    assert status(folder).state == "done"


def test_a_docking_screen(tmp_path: Path) -> None:
    folder = tmp_path / "screen"
    write_json(folder / "screen.json", {})
    (folder / "results.csv").write_text("row,status,seconds\n1,ok,2.0\n2,failed,1.0\n3,ok")
    with working_in(folder):
        found = status(folder)
    assert (found.done, found.failed, found.rate) == (2, 1, pytest.approx(2 / 3))
    heart = Heartbeat(folder / "work", "cpu", "")
    heart.beat.items, heart.beat.started = 6, heart.beat.started - 3.0
    heart.say(at_once=True)
    with working_in(folder):
        found = status(folder)
    assert [worker.done for worker in found.workers] == [6]
    assert found.rate == pytest.approx(2.0, rel=0.2)


def test_nothing_is_known_of_other_places(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError):
            status(path)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (75, "1 min 15 s"), (3700, "1 h 1 min"), (200_000, "2 d 7 h")]
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_speeds_in_words() -> None:
    assert speed(12.3456, "structures") == "12.3 structures/s"
    assert speed(0.05, "epochs") == "3 epochs/min"
    assert speed(0.001, "epochs") == "3.6 epochs/h"
