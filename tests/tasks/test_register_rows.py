"""The rows of many pairs on the disk."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.tasks.register_rows import (
    COLUMNS,
    RESULTS,
    PairRecord,
    PairRow,
    stems_of,
    store,
    stored,
    write_matrix,
    write_table,
)


def test_every_pair_has_a_file_of_its_own() -> None:
    names = ["a b", "a-b", "A b", "a/b", "", "a-b-2", "é" * 200]
    stems = stems_of(names)
    assert len({stem.casefold() for stem in stems}) == len(names)
    assert all("/" not in stem and stem for stem in stems)
    assert stems_of(names[:3]) == stems[:3]


def test_a_record_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    matrix = np.eye(4) + 1 / 3 * np.diag([0.0, 0.0, 0.0, 0.0])
    matrix[0, 3] = 1 / 3
    record = PairRecord(
        PairRow("pair 1", "ok", angle=12.5, inliers=7, transform="transforms/pair-1.txt"),
        {"motion": {"matrix": matrix.tolist()}},
    )
    store(tmp_path, "pair-1", record)
    assert stored(tmp_path, "pair-1") == record
    assert stored(tmp_path, "pair-2") is None
    assert (np.loadtxt(tmp_path / "transforms" / "pair-1.txt") == matrix).all()


def test_a_pair_without_a_motion_has_no_matrix(tmp_path: Path) -> None:
    store(tmp_path, "x", PairRecord(PairRow("x", "no alignment", "nothing fits"), {"motion": None}))
    assert not (tmp_path / "transforms").exists()


def test_a_foreign_file_among_the_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / RESULTS).mkdir()
    (tmp_path / RESULTS / "x.json").write_text('{"row": {"colour": 1}}')
    with pytest.raises(InputError, match="no result of a pair"):
        stored(tmp_path, "x")


def test_the_table_has_a_line_for_each_pair(tmp_path: Path) -> None:
    rows = [PairRow("a", "ok", overlap=0.123456789), PairRow("b, c", "failed", "two\nlines")]
    write_table(tmp_path / "t.csv", rows)
    assert (tmp_path / "t.csv").read_text().count("\n") == 3
    with (tmp_path / "t.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(COLUMNS)
    assert (read[0]["overlap"], read[0]["angle"]) == ("0.123457", "")
    assert (read[1]["name"], read[1]["reason"]) == ("b, c", "two lines")


def test_matrices_keep_every_digit(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    write_matrix(tmp_path / "T.txt", matrix.tolist())
    assert (np.loadtxt(tmp_path / "T.txt") == matrix).all()
