"""Complexes are found in every layout; what is incomplete is a failure with its reason, never left out."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eqcli.data.complexes import ComplexFiles, find_complexes
from eqcli.errors import Failure, InputError
from eqcli.io.store_writer import DatasetWriter
from eqcli.io.structure import Structure

RECORD = "{}\n  made\n\n  0  0  0  0  0  0            999 V2000\nM  END\n"


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("x\n")


def both(path: Path) -> tuple[list[ComplexFiles], list[Failure]]:
    found = list(find_complexes(path))
    return [x for x in found if isinstance(x, ComplexFiles)], [x for x in found if isinstance(x, Failure)]


def test_folders_as_in_pdbbind(tmp_path: Path) -> None:
    touch(tmp_path / "1abc", "1abc_protein.pdb", "1abc_pocket.pdb", "1abc_ligand.mol2", "1abc_ligand.sdf")
    touch(tmp_path / "2def", "2def_protein.pdb.gz", "2def_ligand.pdb", "2def_ligands_all_copies.sdf")
    (tmp_path / "INDEX_general_PL.2020").write_text(
        "# head\n1abc  2.10  1998  4.5  // 1abc.pdf (LIG)\n2def NMR 2004 5\n"
    )
    found, failures = both(tmp_path)
    assert failures == []
    assert [(x.name, x.protein, x.year, x.frame) for x in found] == [
        ("1abc", "1abc", 1998, None),
        ("2def", "2def", 2004, None),
    ]
    assert [x.ligand.name for x in found] == ["1abc_ligand.sdf", "2def_ligand.pdb"]
    assert [x.copies and x.copies.name for x in found] == [None, "2def_ligands_all_copies.sdf"]


def test_a_folder_that_is_one_complex(tmp_path: Path) -> None:
    touch(tmp_path / "1abc", "1abc_protein.pdb", "1abc_ligand.sdf")
    assert [x.name for x in both(tmp_path / "1abc")[0]] == ["1abc"]


def test_files_may_be_named_otherwise_than_their_folder(tmp_path: Path) -> None:
    touch(tmp_path / "first", "1abc_protein.pdb", "1abc_ligand.sdf")
    assert [(x.name, x.protein) for x in both(tmp_path)[0]] == [("first", "first")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("1abc_protein.pdb",), "no ligand (1abc_ligand.sdf"),
        (("1abc_ligand.sdf", "1abc_dock.sdf"), "no receptor (1abc_protein.pdb)"),
        (("other.pdb.gz",), "it has other.pdb.gz"),
        (("protein.pdb",), "no ligands.sdf"),
    ],
)
def test_an_incomplete_folder_is_a_failure(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    touch(tmp_path / "1abc", *names)
    found, failures = both(tmp_path)
    assert found == []
    assert [f.item for f in failures] == ["1abc"]
    assert words in failures[0].reason


def test_every_record_of_a_series_is_a_complex(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "kinase"
    touch(folder, "protein.pdb", "cofactors.sdf")
    # Two records of one name, one without a name, and no end mark after the last.
    text = "$$$$\n".join(RECORD.format(title) for title in ("a", "b", "a", "", "c"))
    (folder / "ligands.sdf").write_text(text)
    found, failures = both(tmp_path)
    assert failures == []
    assert [x.name.removeprefix("set/kinase/") for x in found] == ["a", "b", "a (2)", "4", "c"]
    assert [x.frame for x in found] == [0, 1, 2, 3, 4]
    assert {x.protein for x in found} == {"kinase"}
    assert {x.cofactors for x in found} == {folder / "cofactors.sdf"}


def test_a_damaged_series_is_a_failure_after_what_could_be_read(tmp_path: Path) -> None:
    touch(tmp_path / "kinase", "protein.pdb")
    packed = gzip.compress("$$$$\n".join(RECORD.format(i) for i in range(50)).encode())
    (tmp_path / "kinase" / "ligands.sdf.gz").write_bytes(packed[:-12])
    _, failures = both(tmp_path)
    assert [f.item for f in failures] == ["kinase"]
    assert "damaged" in failures[0].reason


def test_a_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    touch(tmp_path / "1abc", "1abc_protein.pdb", "1abc_ligand.sdf")
    (tmp_path / "1abc" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(both(tmp_path)[0]) == 1


def test_rows_of_a_table(tmp_path: Path) -> None:
    touch(tmp_path, "r.pdb", "l.sdf")
    (tmp_path / "t.csv").write_text(
        "name,receptor,ligand,frame,protein,year,note\n"
        "one,r.pdb,l.sdf,3,kinase,2019,x\n\n,r.pdb,l.sdf,,,,\n"
        "gone,r.pdb,nothing.sdf,,,,\none,r.pdb,l.sdf,,,,\nbad,r.pdb,l.sdf,first,,,\nempty,,l.sdf,,,,\n"
    )
    found, failures = both(tmp_path / "t.csv")
    assert [(x.name, x.frame, x.protein, x.year) for x in found] == [("one", 3, "kinase", 2019), ("l", None, "r", None)]
    assert found[0].receptor == tmp_path / "r.pdb"
    assert [(f.item, f.where.line) for f in failures] == [("gone", 5), ("one", 6), ("bad", 7), ("empty", 8)]
    for failure, words in zip(failures, ("nothing.sdf", "line 2 too", "no whole number", "no receptor"), strict=True):
        assert words in failure.reason


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("receptor,ligands\n")
    with pytest.raises(InputError, match="no column 'ligand'"):
        list(find_complexes(tmp_path / "t.csv"))


def test_frames_of_a_dataset(tmp_path: Path) -> None:
    def frame(**info: object) -> Structure:
        return Structure(numbers=np.array([6]), positions=np.zeros((1, 3)), info=info)

    with DatasetWriter(tmp_path / "d.h5") as writer:
        writer.append(frame(role="receptor", name="r", protein="kinase", year=2011))
        writer.append(frame(role="ligand", name="a", receptor="r"))
        writer.append(frame(role="ligand", name="lost", receptor="elsewhere"))
        writer.append(frame(name="other"))
    found, failures = both(tmp_path / "d.h5")
    assert [(x.name, x.frame, x.receptor_frame, x.protein, x.year) for x in found] == [("a", 1, 0, "kinase", 2011)]
    assert [f.item for f in failures] == ["lost", "other"]


def test_nothing_to_be_found_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    for path, words in ((tmp_path, "no complexes"), (tmp_path / "notes.txt", "no list"), (tmp_path / "x", "no such")):
        with pytest.raises(InputError, match=words):
            list(find_complexes(path))


def test_the_shared_folders(shared: Path) -> None:
    found, failures = both(shared / "docking" / "complexes")
    assert len(found) == 14
    assert [f.item for f in failures] == ["1fpu_crossdock_receptor_for_1iep"]
    series, failures = both(shared / "docking" / "openfe_series")
    assert failures == []
    assert len({x.name for x in series}) == len(series) > 800
    assert len({x.receptor for x in series}) == 60
