"""When results begin to count: after a while, together; and at once where a process came after one that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.io import DatasetFile
from eqcli.tasks.stream import chunk_file
from eqcli.tasks.stream.chunk_file import ChunkFile, ChunkFiles
from tests.tasks.stream.case import (
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


def committed(folder: Path) -> int:
    return len(DatasetFile(ChunkFiles(folder, 0).results))


def add(chunk: ChunkFile, number: int) -> None:
    chunk.add(number, structure(number))
    chunk.commit_in_time()


def test_results_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(chunk_file, "COMMIT_SECONDS", 1.0)
    monkeypatch.setattr(chunk_file.time, "monotonic", lambda: now[0])
    with ChunkFile(tmp_path, 0) as chunk:
        found = []
        for number in range(7):
            now[0] += 0.3
            add(chunk, number)
            found.append(committed(tmp_path))
        assert found == [0, 0, 0, 4, 4, 4, 4]
        chunk.finish()
    assert committed(tmp_path) == 7


def test_who_comes_after_one_that_died_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_file, "COMMIT_SECONDS", 1000.0)
    with ChunkFile(tmp_path, 0) as chunk:
        add(chunk, 0)
        assert committed(tmp_path) == 0
    with ChunkFile(tmp_path, 0) as chunk:
        for number in range(3):
            add(chunk, number)
            assert committed(tmp_path) == number + 1


def test_what_waited_is_done_again_and_alike(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_file, "COMMIT_SECONDS", 1000.0)
    count = 60
    write_store(here / "in.h5", range(count))
    run(here, ["in.h5"], "whole.h5")
    process = in_process(slow_run, here, ["in.h5"], "out.h5")
    kill_when(lambda: len(evaluated(here, "out.h5")) > count // 2, process)
    assert not (here / "out.h5").exists()
    run(here, ["in.h5"], "out.h5", resume=True)
    assert_same_columns(here / "out.h5", here / "whole.h5")
