"""The table of a screen and its files of poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.tasks.dock_rows import PairRow, ResultsFile, best_first
from eqcli.tasks.dock_shards import PoseFiles


def row(number: int, **values: object) -> PairRow:
    given = {"record": 0, "name": f"n{number}", "receptor": "r", "ligand": "l", "status": "ok", "score": -1.0 * number}
    return PairRow(number, **(given | values))  # type: ignore[arg-type]


AWKWARD = row(1, name='a "quoted", name', reason="two\nlines, é", record=None, confidence=0.25, score=-7.125)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "results.csv")
    file.append([AWKWARD, row(2)])
    file.append([row(3)])
    found = file.recover()
    assert found[1:] == [row(2), row(3)]
    assert found[0].name == AWKWARD.name
    assert found[0].reason == "two lines, é"
    assert (found[0].record, found[0].confidence, found[0].score) == (None, 0.25, -7.125)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_row_that_was_cut_short_is_removed(tmp_path: Path, cut: int) -> None:
    file = ResultsFile(tmp_path / "results.csv")
    file.append([row(1), row(2)])
    file.path.write_bytes(file.path.read_bytes()[:-cut])
    assert file.recover() == [row(1)]
    file.append([row(2)])
    assert file.recover() == [row(1), row(2)]


def test_a_cut_in_the_header_leaves_an_empty_table(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "results.csv")
    file.path.write_text("row,rec")
    assert file.recover() == []
    file.append([row(1)])
    assert file.recover() == [row(1)]


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("name,score\na,1\n")
    with pytest.raises(InputError, match="not written by"):
        ResultsFile(tmp_path / "results.csv").recover()


def test_the_order_is_by_score_by_confidence_or_by_the_mean_of_both_ranks() -> None:
    rows = [
        row(1, score=-5.0, confidence=0.9),
        row(2, score=-9.0, confidence=0.1),
        row(3, score=-8.0, confidence=0.8),
        row(4, status="failed", score=None),
    ]
    assert [r.row for r in best_first(rows, "score")] == [2, 3, 1]
    assert [r.row for r in best_first(rows, "confidence")] == [1, 3, 2]
    assert [r.row for r in best_first(rows, "both")] == [2, 3, 1]
    assert [r.row for r in best_first([row(1, score=-1.0), row(2, score=-2.0)], "confidence")] == [2, 1]


def pose(name: str) -> Structure:
    return Structure(np.array([6]), np.zeros((1, 3)), info={"name": name, "bonds": []})


def test_poses_go_to_the_next_file_after_so_many_pairs(tmp_path: Path) -> None:
    files = PoseFiles(tmp_path, per_file=2)
    places = files.add([[pose("a"), pose("b")], [], [pose("c")]])
    places += PoseFiles(tmp_path, per_file=2, pairs=3).add([[pose("d")], [pose("e")]])
    assert [name for name, _, _ in places] == ["poses-0000.sdf", "", "poses-0001.sdf", "poses-0001.sdf",
                                               "poses-0002.sdf"]  # fmt: skip
    for (name, start, end), title in zip(places, ("a", "", "c", "d", "e"), strict=True):
        if name:
            assert (tmp_path / name).read_bytes()[start:end].startswith(title.encode() + b"\n")


def test_poses_that_no_row_speaks_of_are_cut_off(tmp_path: Path) -> None:
    files = PoseFiles(tmp_path, per_file=2)
    places = files.add([[pose("a")], [pose("b")], [pose("c")]])
    rows = [row(1, poses=places[0][0], start=places[0][1], end=places[0][2])]
    PoseFiles(tmp_path).recover(rows)
    assert [path.name for path in tmp_path.iterdir()] == ["poses-0000.sdf"]
    assert (tmp_path / "poses-0000.sdf").stat().st_size == places[0][2]
