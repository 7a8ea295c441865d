"""Training complexes that are cut out of proteins."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from eqcli.data import generated_complexes as made
from eqcli.errors import InputError
from eqcli.progress import Silent
from eqcli.tasks.generated_complexes import generated, protein_files
from eqcli.tasks.read_complexes import ComplexReader, Limits
from eqcli.tasks.train_docking import read_parts
from tests.docking_folder import protein, series_folder
from tests.tasks.train_docking_case import ligands, make_recipe


def alanines(seed: int) -> str:
    """A bundle of helices whose side chains are whole."""
    lines = protein(seed).splitlines(keepends=True)
    return "".join(f"{x[:17]}ALA{x[20:]}" if x.startswith("ATOM") else x for x in lines)


@pytest.fixture(autouse=True)
def _shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small a bundle buries little."""
    monkeypatch.setattr(made, "generated_complexes", partial(made.generated_complexes, buried=0.1))


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proteins")
    (folder / "deep").mkdir()
    (folder / "a.pdb").write_text(alanines(1), encoding="utf-8")
    (folder / "deep" / "b.pdb").write_text(alanines(2), encoding="utf-8")
    (folder / "notes.txt").write_text("no protein", encoding="utf-8")
    return folder


def reader() -> ComplexReader:
    return ComplexReader(Limits(conformers=1, seed=0), Silent())


def test_files_are_found_at_any_depth_and_other_files_are_left(proteins: Path) -> None:
    assert [path.name for path in protein_files(str(proteins))] == ["a.pdb", "b.pdb"]
    assert protein_files(str(proteins / "a.pdb")) == [proteins / "a.pdb"]


def test_an_empty_folder_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no proteins in this folder"):
        protein_files(str(tmp_path))


def test_pieces_are_bound_where_they_were(proteins: Path) -> None:
    asked = reader()
    pieces = list(generated(str(proteins), 2, "segment", 0, asked))
    assert 1 <= len(pieces) <= 4
    for piece in pieces:
        receptor = asked.found.receptors[str(piece.info["receptor"])]
        assert receptor.info["protein"] in ("a.pdb", "deep/b.pdb")
        assert piece.arrays["conformers"].shape == (len(piece), 1, 3)
    again = list(generated(str(proteins), 2, "segment", 0, reader()))
    assert [p.info["name"] for p in again] == [p.info["name"] for p in pieces]


def test_a_file_that_is_no_protein_is_a_failure_and_the_others_are_used(proteins: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.pdb").write_text("ATOM nonsense\n", encoding="utf-8")
    (tmp_path / "good.pdb").write_text(alanines(1), encoding="utf-8")
    asked = reader()
    assert list(generated(str(tmp_path), 1, "both", 0, asked))
    assert [failure.item for failure in asked.found.failures] == ["broken.pdb"]


def test_training_gets_them_and_no_other_part(proteins: Path, tmp_path: Path) -> None:
    folder = series_folder(tmp_path / "series")
    plain, _ = read_parts(make_recipe(folder), Silent())
    section = {"proteins": str(proteins), "per_protein": 1, "pieces": "segment"}
    split = {"by": "protein", "valid": 0.25, "test": 0.25}
    recipe = make_recipe(folder, data={"conformers": 1, "generated": section, "split": split})
    parts, _ = read_parts(recipe, Silent())
    assert len(ligands(parts["train"])) > len(ligands(plain["train"]))
    assert len(ligands(parts["valid"])) == len(ligands(plain["valid"]))
    assert len(ligands(parts["test"])) == len(ligands(plain["test"]))
