"""Predictions that are killed on the way and go on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from eqcli.io import DatasetFile
from eqcli.tasks.stream import merge
from eqcli.tasks.stream.run_chunk import run_chunk
from tests.tasks.stream.case import (
    CHUNK_ITEMS,
    assert_same_columns,
    evaluated,
    here,
    in_process,
    kill_when,
    run,
    slow_run,
    write_store,
)

__all__ = ["here"]
COUNT = 90
BATCH = 6
"""No batch of 12 atoms holds more of these structures."""


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_a_random_moment_it_ends_as_if_undisturbed(here: Path, seed: int) -> None:
    write_store(here / "in.h5", range(COUNT))
    run(here, ["in.h5"], "whole.h5")
    generator = random.Random(seed)
    moment = generator.uniform(0.0, 0.4)
    process = in_process(slow_run, here, ["in.h5"], "out.h5")
    begun = here / "out.h5.work" / "request.json"
    kill_when(begun.exists, process) if moment < 0.02 else _kill_after(begun, moment, process)
    assert not (here / "out.h5").exists()
    before = len(evaluated(here, "out.h5"))
    last = in_process(slow_run, here, ["in.h5"], "out.h5", seconds=0.0, resume=True)
    last.join(60)
    assert last.exitcode == 0
    assert_same_columns(here / "out.h5", here / "whole.h5")
    # What was committed is not done again: only the batch that was under way, and the one that was on its way in.
    assert COUNT <= len(evaluated(here, "out.h5")) <= COUNT + BATCH
    assert set(evaluated(here, "out.h5")) == set(range(COUNT))
    assert before < COUNT
    assert not (here / "out.h5.work").exists()


def test_killed_while_it_looks_whether_it_can_write(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What that leaves in the work folder goes with it."""
    write_store(here / "in.h5", range(30))

    def killed(self: object) -> None:
        if here / "out.h5.work" in Path(self.name).parents:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryDirectory.cleanup", killed)
        process = in_process(run, here, ["in.h5"], "out.h5")
        process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert list((here / "out.h5.work").glob(".eqcli-*"))
    assert run(here, ["in.h5"], "out.h5", resume=True).structures == 30
    assert not (here / "out.h5.work").exists()


def _kill_after(file: Path, seconds: float, process: object) -> None:
    while not file.exists():
        time.sleep(0.001)
    end = time.monotonic() + seconds
    kill_when(lambda: time.monotonic() >= end, process)  # type: ignore[arg-type]


def test_killed_again_and_again(here: Path) -> None:
    write_store(here / "in.h5", range(COUNT))
    run(here, ["in.h5"], "whole.h5")
    for kill in range(3):
        process = in_process(slow_run, here, ["in.h5"], "out.h5", resume=kill > 0)
        wanted = len(evaluated(here, "out.h5")) + 4 * BATCH
        kill_when(lambda wanted=wanted: len(evaluated(here, "out.h5")) >= wanted, process)
    last = in_process(slow_run, here, ["in.h5"], "out.h5", seconds=0.0, resume=True)
    last.join(60)
    assert last.exitcode == 0
    assert_same_columns(here / "out.h5", here / "whole.h5")
    assert len(evaluated(here, "out.h5")) <= COUNT + 3 * BATCH


@pytest.mark.parametrize("output", ["out.h5", "out.extxyz"])
def test_killed_while_the_results_are_put_together(here: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(here / "in.h5", range(30))
    run(here, ["in.h5"], f"whole{Path(output).suffix}")
    plain = merge._ordered

    def dies(file: DatasetFile) -> object:
        if "000001" in file.path.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(file)

    with monkeypatch.context() as patch:
        patch.setattr(merge, "_ordered", dies)
        process = in_process(run, here, ["in.h5"], output)
        process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not (here / output).exists()
    result = run(here, ["in.h5"], output, resume=True)
    assert result.structures == 30
    assert not (here / f"{output}.work").exists()
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []
    if output.endswith(".h5"):
        assert_same_columns(here / output, here / "whole.h5")
    else:
        found, expected = ((here / name).read_text().splitlines()[2:] for name in (output, "whole.extxyz"))
        assert found == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_when_it_is_asked_to_and_says_how_to_go_on(
    here: Path, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    from eqcli.cli.app import app
    from tests.tasks.stream.case import slow_and_logged

    write_store(here / "in.h5", range(COUNT))
    words = ["predict", str(here / "model.safetensors"), str(here / "in.h5"), "-o", str(here / "out.h5"), "-q"]
    words += ["--batch-atoms", "12", "--device", "cpu"]

    def command(*more: str, seconds: float) -> None:
        slow_and_logged(here / "out.h5.log", seconds)
        app([*words, *more])

    process = in_process(command, seconds=0.02)
    kill_when(lambda: len(evaluated(here, "out.h5")) > 4 * BATCH, process, number)
    process.join(60)
    assert process.exitcode == 130
    assert "--resume" in capfd.readouterr().err
    assert (here / "out.h5.work" / "request.json").is_file()
    last = in_process(command, "--resume", seconds=0.0)
    last.join(60)
    assert last.exitcode == 0
    run(here, ["in.h5"], "whole.h5")
    assert_same_columns(here / "out.h5", here / "whole.h5")


def test_two_processes_do_the_chunks_of_one_request(here: Path) -> None:
    """And a third that is killed leaves its chunk to another."""
    write_store(here / "in.h5", range(COUNT))
    run(here, ["in.h5"], "whole.h5")
    work = here / "out.h5.work"
    kill_when(lambda: len(evaluated(here, "out.h5")) > BATCH, in_process(slow_run, here, ["in.h5"], "out.h5"))
    half = (COUNT + CHUNK_ITEMS - 1) // CHUNK_ITEMS // 2
    both = [in_process(_chunks, work, range(half)), in_process(_chunks, work, range(half, 2 * half))]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    names = {path.name for path in (work / "workers").glob("*.json")}
    assert len(names) == 3
    result = run(here, ["in.h5"], "out.h5", resume=True)
    assert result.structures == COUNT
    assert_same_columns(here / "out.h5", here / "whole.h5")
    assert len(DatasetFile(here / "out.h5").provenance["workers"]) >= 3


def _chunks(work: Path, numbers: range) -> None:
    for number in numbers:
        done = run_chunk(work, number)
        assert (done.failed, done.new > 0) == (0, done.worker != "")
