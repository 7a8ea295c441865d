"""Rows that go from file to file without becoming structures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eqcli.io import DatasetFile, DatasetWriter, Structure
from eqcli.io.store_layout import Rows
from eqcli.io.store_rows import keyed, take
from eqcli.io.store_writer import write_whole


def frame(i: int) -> Structure:
    """Some have labels, some entries, some neither; every seventh has no atoms."""
    rng = np.random.default_rng(i)
    n = 0 if i % 7 == 6 else 1 + i % 4
    info = {"i": i} if i % 2 else {}
    return Structure(rng.integers(1, 90, n), rng.normal(size=(n, 3)), energy=float(i) if i % 3 else None, info=info)


@pytest.fixture
def source(tmp_path: Path) -> DatasetFile:
    with DatasetWriter(tmp_path / "a.h5", keyed=True) as writer:
        for start in (0, 9):
            numbers = list(range(start, start + 9))
            writer.append_rows(keyed([frame(i) for i in numbers], [100 + i for i in numbers]))
    return DatasetFile(tmp_path / "a.h5")


def assert_frame(found: Structure, i: int) -> None:
    expected = frame(i)
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.positions, expected.positions)
    assert (found.energy, found.info) == (expected.energy, expected.info)


def test_frames_have_their_keys(source: DatasetFile) -> None:
    assert source.keys is not None
    assert source.keys.tolist() == [100 + i for i in range(18)]
    for i in range(18):
        assert_frame(source[i], i)


@pytest.mark.parametrize(
    "chosen", [[0, 1, 2], [7, 8, 9, 10, 11], [3], [17, 2, 9], [5, 7, 11], [10, 10], [6], [13, 6], []]
)
def test_frames_are_taken_in_any_order(source: DatasetFile, tmp_path: Path, chosen: list[int]) -> None:
    with DatasetWriter(tmp_path / "b.h5") as writer:
        for _ in range(2):
            writer.append_rows(take(source, np.array(chosen, dtype=np.int64)))
    with DatasetFile(tmp_path / "b.h5") as found:
        assert found.keys is None
        assert len(found) == 2 * len(chosen)
        for one, i in zip(found, chosen + chosen, strict=True):
            assert_frame(one, i)


@pytest.mark.parametrize("kept", [0, 1, 9, 17, 18, 40])
def test_truncating_keeps_the_first_frames_and_takes_more(tmp_path: Path, source: DatasetFile, kept: int) -> None:
    source.close()
    with DatasetWriter(source.path, append=True) as writer:
        writer.truncate(kept)
        left = min(kept, 18)
        assert writer.committed == left
        writer.append_rows(keyed([frame(50)], [50]))
    with DatasetFile(source.path) as found:
        assert found.keys is not None
        assert found.keys.tolist() == [*(100 + i for i in range(left)), 50]
        assert_frame(found[left], 50)
        assert_frame(found[left - 1], 50 if left == 0 else left - 1)


def test_blocks_make_a_whole_file(tmp_path: Path) -> None:
    """With the columns of one that was written at once; and none where they end early."""
    with DatasetWriter(tmp_path / "a.h5") as writer:
        for number in (0, 1, 2, 3, 4, 5, 7, 8, 9):
            writer.append(frame(number))
    with DatasetFile(tmp_path / "a.h5") as source:
        write_whole(tmp_path / "b.h5", (take(source, np.arange(k, k + 3)) for k in (0, 3, 6)), {"by": "me"})
        expected = source.raw(0, 9)

        def broken() -> Iterator[Rows]:
            yield take(source, np.arange(3))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            write_whole(tmp_path / "c.h5", broken())
    with DatasetFile(tmp_path / "b.h5") as found:
        assert found.provenance == {"by": "me"}
        assert {name: values.tobytes() for name, values in found.raw(0, 9).items()} == {
            name: values.tobytes() for name, values in expected.items()
        }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]
