"""The file of a chunk: commits, snapshots, frames, failures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eqcli.errors import InputError, Where
from eqcli.io import DatasetFile
from eqcli.tasks.stream import chunk_file
from eqcli.tasks.stream.chunk_file import ChunkFile, ChunkFiles
from eqcli.tasks.stream.heartbeat import Heartbeat, read_beats
from eqcli.tasks.stream.item import Item
from tests.tasks.stream.case import structure


def open_chunk(folder: Path) -> ChunkFile:
    return ChunkFile(folder, 0)


def numbers(chunk: ChunkFile) -> list[int]:
    return [found.info["number"] for _, found in chunk.results()]


def test_what_was_not_committed_is_gone(tmp_path: Path) -> None:
    with open_chunk(tmp_path) as chunk:
        chunk.add(4, structure(4))
        chunk.fail(2, "no good", Where(tmp_path / "a.xyz", 7, 9))
        chunk.commit()
        chunk.add(1, structure(1))
        assert chunk.done == {1, 2, 4}
    with open_chunk(tmp_path) as chunk:
        assert (chunk.done, chunk.failed, numbers(chunk)) == ({2, 4}, 1, [4])
        ((item, failure),) = chunk.failures()
        assert (item, failure.reason, failure.where.frame, failure.where.line) == (2, "no good", 7, 9)
        with pytest.raises(ValueError, match="done already"):
            chunk.add(4, structure(4))


def test_a_failed_item_keeps_its_name_and_place(tmp_path: Path) -> None:
    with open_chunk(tmp_path) as chunk:
        chunk.fail(Item(3, InputError("bad", Where("b.xyz", 5))), "bad")
        chunk.commit()
        ((_, failure),) = chunk.failures()
    assert (failure.item, failure.where.file) == ("b.xyz, frame 5", Path("b.xyz"))


def test_what_cannot_be_stored_is_refused_and_not_done(tmp_path: Path) -> None:
    bad = structure(1)
    bad.energy = float("nan")
    with open_chunk(tmp_path) as chunk:
        with pytest.raises(InputError, match="energy"):
            chunk.add(1, bad)
        assert chunk.done == set()


def test_a_snapshot_takes_results_and_frames_back_to_where_it_was_taken(tmp_path: Path) -> None:
    tensors = {"atoms/positions": torch.rand(3, 3, dtype=torch.float64), "systems/step": torch.tensor([7])}
    with open_chunk(tmp_path) as chunk:
        assert chunk.restored is None
        chunk.add(0, structure(0))
        for step in range(3):
            chunk.frame(1, step, structure(1))
        chunk.snapshot(tensors, {"waiting": [5, 6]})
        chunk.add(1, structure(1))
        chunk.frame(1, 3, structure(1))
        chunk.commit()
    with open_chunk(tmp_path) as chunk:
        assert chunk.done == {0}
        assert chunk.restored is not None
        found, facts = chunk.restored
        assert facts == {"waiting": [5, 6]}
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        chunk.frame(1, 3, structure(1))
        chunk.add(1, structure(1))
        chunk.finish()
    with DatasetFile(ChunkFiles(tmp_path, 0).frames) as frames:
        assert [one.info["step"] for one in frames] == [0, 1, 2, 3]
    assert not ChunkFiles(tmp_path, 0).state.exists()
    assert ChunkFiles(tmp_path, 0).done.exists()


def test_without_a_snapshot_frames_of_unfinished_items_are_dropped(tmp_path: Path) -> None:
    with open_chunk(tmp_path) as chunk:
        for step in range(2):
            chunk.frame(0, step, structure(0))
            chunk.frame(1, step, structure(1))
        chunk.add(0, structure(0))
        chunk.commit()
    with open_chunk(tmp_path) as chunk:
        assert chunk.done == {0}
    with DatasetFile(ChunkFiles(tmp_path, 0).frames) as frames:
        assert [(one.info["item"], one.info["step"]) for one in frames] == [(0, 0), (0, 1)]


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_file, "WAIT", 0.0)
    with open_chunk(tmp_path), pytest.raises(InputError, match="another process"):
        open_chunk(tmp_path)


def test_signs_of_life_are_read_back(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path, "cpu", "float64")
    heart.beat.items = 3
    heart.say()
    heart.beat.items = 4
    heart.say()
    assert [beat.items for beat in read_beats(tmp_path)] == [3]
    heart.say(at_once=True)
    (beat,) = read_beats(tmp_path)
    assert (beat.items, beat.device) == (4, "cpu")
    assert beat.alive >= beat.started
