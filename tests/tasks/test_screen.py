"""Screening drops what is not worth relaxing, and says why of each."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pymatgen", reason="pymatgen compares crystals: pip install eqcli[crystals]")

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.tasks.screen import screen
from eqcli.tasks.screen_result import ScreenResult
from tests.alloys import alloy, shaken

CU, AU, PD = 29, 79, 46


def cu3au(seed: int, amount: float = 0.05, **info: object) -> Structure:
    return shaken(alloy({CU, AU}, "L1_2"), seed, amount, sample=100 + seed, **info)


def scaled(structure: Structure, factor: float) -> Structure:
    return replace(structure, positions=structure.positions * factor, cell=structure.cell * factor)


def overlapping() -> Structure:
    found = cu3au(8)
    return replace(found, positions=np.vstack([found.positions[:3], found.positions[:1] + 0.2]))


GENERATED = [
    cu3au(0),
    cu3au(1),
    overlapping(),
    scaled(cu3au(2), 0.5),
    scaled(cu3au(3), 4.0),
    shaken(alloy({CU, PD}, "B2"), 4, sample=104),
    shaken(alloy({CU}, "A1"), 5, sample=105, flags="odd"),
    shaken(alloy({CU, PD}, "D0_19"), 6, sample=106),
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_structures(tmp_path / "generated.h5", GENERATED)
    write_structures(tmp_path / "known.extxyz", [alloy({CU}, "A1"), alloy({CU, PD}, "B2")])
    return tmp_path


def run(folder: Path, **options: Any) -> ScreenResult:
    return screen([folder / "generated.h5"], folder / "kept.h5", workers=1, **options)


def table(result: ScreenResult) -> list[dict[str, str]]:
    with result.table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_structure_is_kept_or_has_a_row_with_the_reason(files: Path) -> None:
    result = run(files, known=[files / "known.extxyz"])
    kept = list(read_structures(files / "kept.h5"))
    assert [s.info["sample"] for s in kept] == [100, 106]
    rows = {int(row["item"]): row for row in table(result)}
    assert {item: row["kind"] for item, row in rows.items()} == {
        1: "duplicate", 2: "flag", 3: "flag", 4: "flag", 5: "known", 6: "flag",
    }  # fmt: skip
    assert rows[1]["reason"] == "the same as structure 0"
    assert "nearer than 0.5" in rows[2]["reason"]
    assert "crushed" in rows[3]["reason"]
    assert "empty" in rows[4]["reason"]
    assert "frame 1" in rows[5]["reason"]
    assert "odd" in rows[6]["reason"]
    assert rows[1]["sample"] == "101"
    assert rows[1]["formula"] == "AuCu3"
    assert result.total == 8
    assert result.kept + len(result.rows) == result.total
    assert result.exit_code is ExitCode.OK


def test_known_crystals_stay_where_nothing_is_said_of_them(files: Path) -> None:
    run(files)
    assert [s.info["sample"] for s in read_structures(files / "kept.h5")] == [100, 104, 106]


def test_duplicates_can_be_kept(files: Path) -> None:
    result = run(files, duplicates=True)
    assert result.counts == {"flag": 4}
    assert result.kept == 4


def test_the_first_n_are_kept(files: Path) -> None:
    result = run(files, n=1)
    assert [s.info["sample"] for s in read_structures(files / "kept.h5")] == [100]
    surplus = [row for row in table(result) if row["kind"] == "surplus"]
    assert [row["sample"] for row in surplus] == ["104", "106"]
    with pytest.raises(InputError, match="at least 1"):
        run(files, n=0, overwrite=True)


def test_atoms_too_near_for_their_elements_are_told_by_name(files: Path) -> None:
    result = run(files, min_contact=0.99)
    reasons = [row["reason"] for row in table(result) if "covalent" in row["reason"]]
    assert reasons
    assert any("(Cu)" in reason for reason in reasons)


def test_nothing_dropped_leaves_a_table_with_its_header(tmp_path: Path) -> None:
    write_structures(tmp_path / "generated.h5", GENERATED[:1])
    result = run(tmp_path)
    assert result.table.read_text(encoding="utf-8").startswith("item,sample,formula,kind,reason")
    assert table(result) == []


def test_nothing_kept_is_said_and_writes_no_structures(tmp_path: Path) -> None:
    write_structures(tmp_path / "generated.h5", [overlapping()])
    result = run(tmp_path)
    assert result.output is None
    assert not (tmp_path / "kept.h5").exists()
    assert dict(result.summary())["kept"] == "0 of 1"


def test_what_cannot_be_read_has_a_row_and_fails_the_run(tmp_path: Path) -> None:
    write_structures(tmp_path / "good.extxyz", GENERATED[:1])
    text = (tmp_path / "good.extxyz").read_text(encoding="utf-8")
    broken = text.replace("Lattice=", "Lattice=bad ", 1)
    (tmp_path / "two.extxyz").write_text(text + broken, encoding="utf-8")
    result = screen([tmp_path / "two.extxyz"], tmp_path / "kept.h5", workers=1)
    assert result.exit_code is ExitCode.PARTIAL
    assert [row["kind"] for row in table(result)] == ["unreadable"]
    assert "frame 1" in table(result)[0]["reason"]


def test_an_input_is_never_overwritten(files: Path) -> None:
    with pytest.raises(InputError, match="input"):
        screen([files / "generated.h5"], files / "generated.h5", overwrite=True)
