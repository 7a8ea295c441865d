"""Pairs of a table: one at a time, each once, also where an earlier run ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import InputError
from eqcli.tasks.dock_pair import Pair, Source, pairs_of, read_table
from tests.tasks.dock_case import write_ligands, write_receptor


def told(pairs: list[Pair]) -> list[tuple[int | None, str, bool]]:
    return [(pair.record, pair.name, isinstance(pair.ligand, InputError)) for pair in pairs]


def source(folder: Path, ligand: str, **options: object) -> Source:
    return Source(1, folder / "r.pdb", ligand, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ligand", "options"),
    [
        ("library.smi", {}),
        ("library.smi", {"name": "set"}),
        ("library.smi", {"record": 2}),
        ("library.smi", {"record": 77}),
        ("missing.sdf", {}),
        ("missing.sdf", {"record": 2}),
        ("CCO", {}),
        ("C[", {}),
        ("x", {"error": InputError("wrong")}),
    ],
)
def test_pairs_after_an_interruption_are_those_that_are_left(
    tmp_path: Path, ligand: str, options: dict[str, object]
) -> None:
    """Names too: a record that is named as an earlier one has a number behind it."""
    (tmp_path / "library.smi").write_text("CCO same\nC[ same\nCCN same\nCCS other\nCCC same\n")
    path = str(tmp_path / ligand) if "." in ligand else ligand
    whole = told(list(pairs_of(source(tmp_path, path, **options))))
    assert whole
    for done in range(len(whole) + 1):
        assert told(list(pairs_of(source(tmp_path, path, **options), done))) == whole[done:]


def test_ligands_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.io import ligand

    made: list[str] = []
    embed = ligand.embedded
    monkeypatch.setattr(ligand, "embedded", lambda *given: made.append(given[-1]) or embed(*given))
    pairs = pairs_of(source(tmp_path, str(write_ligands(tmp_path, ["CCO"] * 50))), 30)
    assert [next(pairs).record, next(pairs).record] == [30, 31]
    assert made == ["lig30", "lig31"]


def test_a_table_names_files_from_its_folder_and_keeps_its_faults(tmp_path: Path) -> None:
    write_receptor(tmp_path, "r.pdb")
    write_ligands(tmp_path)
    table = tmp_path / "t.csv"
    table.write_text(
        " receptor ,ligand,pocket,record,name\n"
        'r.pdb,library.smi,"1,2,3:10",2,\n'
        "gone.pdb,CCO,,,\n"
        "r.pdb,,,,\n"
        "r.pdb,CCO,,0,\n"
        "r.pdb,CCO,what,,\n"
        ",CCO,,,\n"
    )
    found = list(read_table(table))
    assert [one.row for one in found] == [1, 2, 3, 4, 5, 6]
    first = found[0]
    assert (first.receptor, first.ligand, first.record) == (tmp_path / "r.pdb", str(tmp_path / "library.smi"), 1)
    assert first.place is not None
    assert first.place.fixed is not None
    words = ["no such file", "names no ligand", "a number from 1", "no box", "names no receptor"]
    for one, expected in zip(found[1:], words, strict=True):
        assert one.error is not None
        assert expected in one.error.message
    usual = list(read_table(table, receptor=tmp_path / "r.pdb"))
    assert usual[5].error is None
    assert usual[5].receptor == tmp_path / "r.pdb"
