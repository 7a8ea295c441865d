"""Ranking writes the stablest crystals first and leaves nothing out in silence."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.tasks.rank import rank
from tests.alloys import alloy
from tests.listener import Listener

CU, AU, PD = 29, 79, 46


def relaxed(elements: set[int], prototype: str, height: float | None, **marks: object) -> Structure:
    known = {"certified": True, "unique": True, "novel": True, "stable": True, **marks}
    if height is not None:
        known["energy_above_hull"] = height
    return replace(alloy(elements, prototype), info=known)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    structures = [
        relaxed({CU, AU}, "L1_2", 0.05, sample=3),
        relaxed({CU, PD}, "B2", -0.01),
        relaxed({CU, AU}, "CH40", 0.02, novel=False),
        relaxed({CU}, "A1", 0.01, certified=False),
        relaxed({CU, PD}, "D0_19", 0.03),
    ]
    return write(tmp_path / "relaxed.h5", structures)


def write(path: Path, structures: list[Structure]) -> Path:
    write_structures(path, structures)
    return path


def test_the_stablest_come_first(file: Path, tmp_path: Path) -> None:
    result = rank([file], tmp_path / "out")
    assert [(row.rank, row.item) for row in result.ranked] == [(1, 1), (2, 4), (3, 0)]
    names = sorted(path.name for path in (tmp_path / "out" / "cifs").iterdir())
    assert names == [f"{row.rank:03d}_{row.formula}.cif" for row in result.ranked]
    assert result.exit_code is ExitCode.OK


def test_files_hold_the_crystals_with_their_figures(file: Path, tmp_path: Path) -> None:
    result = rank([file], tmp_path / "out")
    (third,) = read_structures(tmp_path / "out" / "cifs" / result.ranked[2].file)
    original = alloy({CU, AU}, "L1_2")
    assert third.volume == pytest.approx(original.volume, rel=1e-5)
    assert third.energy == pytest.approx(original.energy, abs=1e-6)
    assert third.info["energy_above_hull"] == pytest.approx(0.05)
    assert third.info["sample"] == 3
    assert result.archive is not None
    in_archive = list(read_structures(result.archive))
    assert [len(s) for s in in_archive] == [row.atoms for row in result.ranked]
    assert [s.info["rank"] for s in in_archive] == [1, 2, 3]


def test_the_table_has_a_row_for_every_crystal_and_says_why_one_is_left_out(file: Path, tmp_path: Path) -> None:
    result = rank([file], tmp_path / "out")
    with result.table.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "", ""]
    assert [row["reason"] for row in rows[3:]] == ["not novel", "not certified"]
    assert rows[0]["space_group"] == "Pm-3m (221)"
    # Two atoms of CuPd at the EMT volume: about 10.6 g/cm^3.
    assert float(rows[0]["density"]) == pytest.approx(10.6, abs=0.5)


def test_the_page_shows_the_ranked_crystals(file: Path, tmp_path: Path) -> None:
    result = rank([file], tmp_path / "out")
    page = result.page.read_text(encoding="utf-8")
    assert all(row.file in page for row in result.ranked)


def test_at_most_n_and_only_what_is_required(file: Path, tmp_path: Path) -> None:
    one = rank([file], tmp_path / "one", n=1)
    assert len(one.ranked) == 1
    assert sum("1 are ranked" in row.reason for row in one.rows) == 2
    every = rank([file], tmp_path / "every", require=())
    assert [row.energy_above_hull for row in every.ranked] == [-0.01, 0.01, 0.02, 0.03, 0.05]


def test_a_second_ranking_leaves_no_old_files(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rank([file], out)
    (out / "cifs" / "notes.txt").write_text("mine", encoding="utf-8")
    rank([file], out, n=1, overwrite=True)
    assert sorted(path.name for path in (out / "cifs").iterdir()) == ["001_PdCu.cif", "notes.txt"]
    with pytest.raises(InputError, match="exists"):
        rank([file], out)


def test_marks_that_nobody_decided_are_not_required_and_said(tmp_path: Path) -> None:
    structure = relaxed({CU, PD}, "B2", 0.0)
    del structure.info["novel"]
    listener = Listener()
    result = rank([write(tmp_path / "a.h5", [structure])], tmp_path / "out", report=listener)
    assert len(result.ranked) == 1
    assert any("novel" in text for text in listener.warnings)


def test_crystals_off_the_hull_are_failures(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [relaxed({CU, PD}, "B2", 0.0), relaxed({CU}, "A1", None)])
    result = rank([path], tmp_path / "out")
    assert result.exit_code is ExitCode.PARTIAL
    assert "no energy above the hull" in result.failures[0].reason
    with pytest.raises(InputError, match="relaxer"):
        rank([write(tmp_path / "b.h5", [relaxed({CU}, "A1", None)])], tmp_path / "none")


def test_none_good_enough_leaves_a_table_and_no_crystals(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [relaxed({CU, PD}, "B2", 0.0, certified=False)])
    result = rank([path], tmp_path / "out")
    assert result.ranked == []
    assert result.archive is None
    assert result.page.is_file()
    assert result.table.is_file()
    assert dict(result.summary())["ranked"] == "0 of 1"
