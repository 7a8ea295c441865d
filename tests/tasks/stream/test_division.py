"""Among how many processes work is divided: the decision, and that it holds when work goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eqcli.engine.model_file import make_potential, save_model
from eqcli.io import DatasetFile, write_structures
from eqcli.models.potentials.config import MACEConfig
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.tasks.stream import dividing
from eqcli.tasks.stream.dividing import ChunksAhead
from eqcli.tasks.stream.division import PROCESS_BYTES, WORTH_SECONDS, Division, Load, Place, divide, taken_up
from eqcli.tasks.stream.request import StreamRequest
from eqcli.tasks.stream.work_folder import WorkFolder
from tests.listener import Listener
from tests.tasks.stream.case import assert_same_columns, here, run, structure, write_store

__all__ = ["here"]

ONE_THREAD = ClusterRecipe(task="cluster", scheduler="local", workers=2, cores=1)
GB = 10**9
EIGHT = Place("cpu", cores=8, gpus=0, memory=64 * GB)
LARGE = Load(chunks=100, seconds=1000.0, worker_bytes=GB)

AUTO_RUN = """
import sys
from pathlib import Path
import torch
from eqcli.tasks.predict import predict
from eqcli.tasks.stream import dividing
from eqcli.tasks.stream.chunk_sizes import CHUNKS
from eqcli.tasks.stream.division import WORTH_SECONDS
here = Path(sys.argv[1])
torch.set_num_threads(2)
CHUNKS["predict"]["cpu"] = (12, 40)
WORTH_SECONDS["cpu"] = 0.0
dividing.usable_cores = lambda: 2
predict(here / "model.safetensors", [here / "in.h5"], here / "out.h5", batch_atoms=12, device="cpu")
"""


@pytest.mark.parametrize(
    ("load", "place", "workers", "threads"),
    [
        (LARGE, EIGHT, 8, 1),
        (LARGE, replace(EIGHT, cores=1), 1, 1),
        (replace(LARGE, seconds=29.0), EIGHT, 1, 8),
        (replace(LARGE, seconds=31.0), EIGHT, 8, 1),
        (replace(LARGE, chunks=1), EIGHT, 1, 8),
        (replace(LARGE, chunks=3), EIGHT, 3, 2),
        (LARGE, replace(EIGHT, memory=4 * GB), 4, 2),
        (replace(LARGE, worker_bytes=40 * GB), EIGHT, 1, 8),
        (replace(LARGE, worker_bytes=0), replace(EIGHT, memory=2 * PROCESS_BYTES["cpu"]), 2, 4),
        (LARGE, replace(EIGHT, device="cuda", gpus=1), 1, 8),
        (LARGE, replace(EIGHT, device="cuda", gpus=0), 1, 8),
        (LARGE, replace(EIGHT, device="cuda", gpus=4), 4, 2),
        (replace(LARGE, seconds=59.0), replace(EIGHT, device="cuda", gpus=4), 1, 8),
    ],
)
def test_workers_for_a_load(load: Load, place: Place, workers: int, threads: int) -> None:
    assert divide(load, place) == Division(workers, threads, place.device)


@pytest.mark.parametrize(
    ("before", "place", "expected"),
    [
        (Division(8, 1), EIGHT, (8, 1)),
        (Division(8, 1), replace(EIGHT, cores=2), (2, 1)),
        (Division(2, 1), EIGHT, (2, 1)),
        (Division(1, 2), EIGHT, (1, 2)),
        (Division(1, 8), replace(EIGHT, cores=2), (1, 2)),
        (Division(3, 2), replace(EIGHT, cores=4), (2, 2)),
        (Division(8, 1), replace(EIGHT, memory=GB), (2, 1)),
    ],
)
def test_work_that_was_begun_keeps_its_threads(before: Division, place: Place, expected: tuple[int, int]) -> None:
    found = taken_up(before, place)
    assert (found.workers, found.threads) == expected


def test_it_is_said_in_words() -> None:
    assert str(Division(2, 1)) == "2 workers of one thread each (--workers 1 for one process)"
    assert str(Division(3, 4)) == "3 workers of 4 threads each (--workers 1 for one process)"


@pytest.fixture
def two_cores(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine of two cores, and a model that any process can load."""
    torch.manual_seed(0)
    config = MACEConfig(cutoff=3.0, channels=4, max_L=0, max_ell=1, correlation=1, num_interactions=1)
    save_model(here / "model.safetensors", make_potential(config, [1, 6, 8]), training={}, provenance={})
    monkeypatch.setattr(dividing, "usable_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield here
    torch.set_num_threads(before)


def explicit(folder: Path, source: str, output: str) -> Path:
    """The same by two workers of one thread each, as they are asked for."""
    run(folder, [source], output, workers=2, cluster=ONE_THREAD)
    return folder / output


@pytest.mark.parametrize("source", ["in.h5", "in.extxyz"])
def test_much_work_is_shared_unasked(two_cores: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    pytest.importorskip("distributed")
    write_store(two_cores / "in.h5", range(60))
    write_structures(two_cores / "in.extxyz", [structure(n) for n in range(60)])
    monkeypatch.setitem(WORTH_SECONDS, "cpu", 0.0)
    report = Listener()
    result = run(two_cores, [source], "out.h5", report=report)
    assert "2 workers of one thread each (--workers 1 for one process)" in report.messages
    assert result.device == "cpu (2 processes)"
    assert {worker["threads"] for worker in DatasetFile(two_cores / "out.h5").provenance["workers"]} == {1}
    assert_same_columns(two_cores / "out.h5", explicit(two_cores, source, "explicit.h5"))


@pytest.mark.parametrize("source", ["in.h5", "in.extxyz"])
def test_little_work_is_done_here(two_cores: Path, source: str) -> None:
    write_store(two_cores / "in.h5", range(60))
    write_structures(two_cores / "in.extxyz", [structure(n) for n in range(60)])
    report = Listener()
    assert run(two_cores, [source], "out.h5", report=report).device == "cpu"
    assert not any("workers" in message for message in report.messages)
    assert {worker["threads"] for worker in DatasetFile(two_cores / "out.h5").provenance["workers"]} == {2}


def test_without_dask_one_process_does_it_and_says_what_would_help(
    two_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(two_cores / "in.h5", range(60))
    monkeypatch.setitem(WORTH_SECONDS, "cpu", 0.0)
    monkeypatch.setattr(dividing, "find_spec", lambda name: None)
    report = Listener()
    assert run(two_cores, ["in.h5"], "out.h5", report=report).device == "cpu"
    assert sum("eqcli[cluster]" in message for message in report.messages) == 1


def test_nothing_is_measured_where_one_process_does_it_anyhow(two_cores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk, one core, or a number that was given."""

    def pilot(*args: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("eqcli.tasks.pilot.ModelPilot.__call__", pilot)
    write_store(two_cores / "in.h5", range(60))
    write_store(two_cores / "few.h5", range(5))
    run(two_cores, ["few.h5"], "few-out.h5")
    run(two_cores, ["in.h5"], "one-out.h5", workers=1)
    monkeypatch.setattr(dividing, "usable_cores", lambda: 1)
    run(two_cores, ["in.h5"], "core-out.h5")
    monkeypatch.setattr(dividing, "usable_cores", lambda: 2)
    with pytest.raises(AssertionError, match="measured"):
        run(two_cores, ["in.h5"], "out.h5")


def test_killed_and_resumed_it_ends_as_the_same_workers_end(two_cores: Path) -> None:
    """What was chosen holds, though nobody would choose it for what is left."""
    pytest.importorskip("distributed")
    write_store(two_cores / "in.h5", range(400))
    work = two_cores / "out.h5.work"
    process = subprocess.Popen([sys.executable, "-c", AUTO_RUN, str(two_cores)])
    deadline = time.monotonic() + 120
    while len(list(work.glob("chunk-*.done"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (two_cores / "out.h5").exists()
    assert WorkFolder(work).division() == Division(2, 1)
    report = Listener()
    result = run(two_cores, ["in.h5"], "out.h5", resume=True, report=report)
    assert result.earlier > 0
    assert "2 workers of one thread each (--workers 1 for one process)" in report.messages
    assert report.warnings == []
    assert_same_columns(two_cores / "out.h5", explicit(two_cores, "in.h5", "explicit.h5"))


def test_other_threads_on_resuming_are_warned_of(two_cores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(two_cores / "in.h5", range(60))
    with monkeypatch.context() as patch:
        patch.setattr("eqcli.tasks.stream.run.merge", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(two_cores, ["in.h5"], "out.h5", workers=1)
    assert WorkFolder(two_cores / "out.h5.work").division() == Division(1, 2)
    torch.set_num_threads(1)
    report = Listener()
    run(two_cores, ["in.h5"], "out.h5", workers=1, resume=True, report=report)
    assert [warning for warning in report.warnings if "1 threads each, and this work was begun with 2" in warning]


def _interrupted(*args: object) -> None:
    raise KeyboardInterrupt


def test_chunks_are_those_that_work_was_begun_with(two_cores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would suit the device of the process that goes on."""
    from eqcli.tasks.stream.chunk_sizes import CHUNKS

    write_store(two_cores / "in.h5", range(60))
    with monkeypatch.context() as patch:
        patch.setattr("eqcli.tasks.stream.run.merge", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(two_cores, ["in.h5"], "out.h5")
    monkeypatch.setitem(CHUNKS["predict"], "cpu", (7, 40))
    assert run(two_cores, ["in.h5"], "out.h5", resume=True).earlier == 60


def test_looking_ahead_loses_nothing(here: Path) -> None:
    write_structures(here / "in.extxyz", [structure(n) for n in range(50)])
    request = StreamRequest("predict", (here / "in.extxyz",), max_items=12, max_atoms=1000)
    ahead = ChunksAhead(request)
    assert ahead.look(3)
    assert not ahead.look(6)
    assert [item.number for chunk in ahead.chunks() for item in chunk.load()] == list(range(50))
