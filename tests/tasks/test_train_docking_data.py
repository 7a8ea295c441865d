"""What a training of a docking network is given: parts by protein or time, complexes that cannot be used, the check."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eqcli.errors import InputError
from eqcli.io import read_structures, write_structures
from eqcli.tasks.train import train
from eqcli.tasks.train_docking import check_complexes, read_parts
from tests.docking_folder import LIGANDS, bound, pdbbind_folder, protein, record, series_folder
from tests.io.peptides import line
from tests.listener import Listener
from tests.tasks.train_docking_case import SEEN, changed, ligands, make_recipe


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four proteins with three ligands each."""
    return series_folder(tmp_path_factory.mktemp("data") / "series")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight proteins with a ligand each, of the years 2001 to 2008."""
    return pdbbind_folder(tmp_path_factory.mktemp("data") / "single")


def test_random_splits_need_to_be_asked_for(series: Path) -> None:
    with pytest.raises(ValidationError, match="--allow-leak"):
        make_recipe(series, **changed({"split": {"by": "random"}}))
    split = {"by": "random", "valid": 0.25, "test": 0.25, "allow_leak": True}
    parts, _ = read_parts(make_recipe(series, **changed({"split": split})), Listener())
    assert {name: len(ligands(part)) for name, part in parts.items()} == {"train": 6, "valid": 3, "test": 3}
    proteins = [{s.info["protein"] for s in parts[name] if s.info["role"] == "receptor"} for name in ("train", "test")]
    assert proteins[0] & proteins[1]


def test_a_split_by_year(single: Path) -> None:
    split = {"by": "year", "valid": 2, "test": 2}
    parts, failures = read_parts(make_recipe(single, **changed({"split": split})), Listener())
    assert failures == []
    years = {name: sorted(s.info["year"] for s in part if s.info["role"] == "receptor") for name, part in parts.items()}
    assert years == {"train": [2001, 2002, 2003, 2004], "valid": [2005, 2006], "test": [2007, 2008]}


def test_a_split_by_year_needs_years(series: Path) -> None:
    with pytest.raises(InputError, match="year"):
        read_parts(make_recipe(series, **changed({"split": {"by": "year"}})), Listener())


def test_a_split_by_clusters_of_sequences(single: Path, tmp_path: Path) -> None:
    """A copy of a protein under another name stays with it."""
    data = shutil.copytree(single, tmp_path / "data")
    for number in range(4):
        shutil.copytree(data / f"1aa{number}", data / f"copy{number}")
    split = {"by": "cluster", "valid": 0.3, "test": 0.3}
    parts, _ = read_parts(make_recipe(data, **changed({"split": split})), Listener())
    where = {s.info["name"]: name for name, part in parts.items() for s in ligands(part)}
    assert len(where) == 12
    for number in range(4):
        assert where[f"1aa{number}"] == where[f"copy{number}"]


def test_validation_by_new_ligands_of_trained_proteins(series: Path) -> None:
    split = {"by": "protein", "valid": 0.3, "test": 0.25, "valid_seen": True}
    parts, _ = read_parts(make_recipe(series, **changed({"split": split})), Listener())
    proteins = {name: {s.info["protein"] for s in part if s.info["role"] == "receptor"} for name, part in parts.items()}
    assert proteins["valid"] <= proteins["train"]
    assert not proteins["test"] & proteins["train"]
    names = [s.info["name"] for part in parts.values() for s in ligands(part)]
    assert len(names) == len(set(names)) == 12


def test_files_of_their_own(series: Path, single: Path) -> None:
    recipe = make_recipe(series, **changed({"valid": str(single), "max_train": 5, "split": {"test": 0}}))
    parts, _ = read_parts(recipe, Listener())
    assert {name: len(ligands(part)) for name, part in parts.items()} == {"train": 5, "valid": 8}
    several = make_recipe(series, **changed({"train": [str(series), str(single)], "split": {"by": "protein"}}))
    parts, _ = read_parts(several, Listener())
    assert sum(len(ligands(part)) for part in parts.values()) == 20


def test_a_dataset_of_another_run(series: Path, tmp_path: Path) -> None:
    given, _ = read_parts(make_recipe(series, **SEEN), Listener())
    for name, part in given.items():
        write_structures(tmp_path / f"{name}.h5", part)
    stored = tmp_path / "train.h5"
    recipe = make_recipe(stored, **changed({"valid": str(tmp_path / "test.h5"), "split": {"test": 0}}))
    parts, failures = read_parts(recipe, Listener())
    assert failures == []
    assert [s.info["name"] for s in ligands(parts["train"])] == [
        s.info["name"] for s in ligands(list(read_structures(stored)))
    ]


def test_complexes_that_cannot_be_read_are_named(series: Path, tmp_path: Path) -> None:
    """A row each, with the reason; the others are trained on."""
    data = shutil.copytree(series, tmp_path / "data")
    (data / "p0" / "protein.pdb").write_text("REMARK nothing\nEND\n")
    broken = (data / "p1" / "ligands.sdf").read_text().split("$$$$\n")
    broken[1] = "l1\nno molecule\n\n"
    (data / "p1" / "ligands.sdf").write_text("$$$$\n".join(broken))
    (data / "p4").mkdir()
    (data / "p4" / "protein.pdb").write_text("END\n")
    heard = Listener()
    recipe = make_recipe(data, training={"max_epochs": 1})
    _, failures = read_parts(recipe, Listener())
    assert sorted(f.item for f in failures) == ["p0/l0", "p0/l1", "p0/l2", "p1/l1", "p4"]
    assert all(f.reason for f in failures)
    train(recipe, tmp_path / "run", device="cpu", report=heard)
    (text,) = [x for x in heard.warnings if "left out" in x]
    assert text.startswith("5 ")
    assert "p0/l0" in text
    figures = check_complexes(recipe).figures
    assert figures["left_out"] == 5
    assert sum(figures["complexes"].values()) == 8


def test_a_ligand_left_in_the_file_of_its_receptor_is_not_shown(series: Path, tmp_path: Path) -> None:
    """It would tell where it binds; another molecule stays."""
    data = shutil.copytree(series, tmp_path / "data")
    pose = next(iter(read_structures(data / "p0" / "ligands.sdf")))
    heavy = pose.positions[pose.numbers > 1]
    names = ("C1", "C2", "O1")
    lines = [
        line(name, residue, number, position, name[0])
        for residue, number, shift in (("LIG", 900, 0.0), ("OTH", 901, 25.0))
        for name, position in zip(names, heavy + shift, strict=True)
    ]
    path = data / "p0" / "protein.pdb"
    path.write_text(path.read_text().replace("END\n", "".join(lines) + "END\n"))
    parts, failures = read_parts(make_recipe(data), Listener())
    assert failures == []
    every = {s.info["name"]: s for part in parts.values() for s in part}
    own = every[every["p0/l0"].info["receptor"]]
    hetero = {str(x) for x in np.asarray(own.arrays["residue_name"])[np.asarray(own.arrays["hetero"], dtype=bool)]}
    assert hetero == {"OTH"}


def test_limits(series: Path) -> None:
    small = make_recipe(series, **changed({"max_atoms": 5, "split": {"by": "protein", "valid": 0.25}}))
    _, failures = read_parts(small, Listener())
    assert {f.item for f in failures} == {f"p{k}/l1" for k in range(4)}
    assert all("data.max_atoms" in f.reason for f in failures)
    with pytest.raises(InputError, match=r"data\.max_residues"):
        read_parts(make_recipe(series, **changed({"max_residues": 10})), Listener())


@pytest.mark.parametrize("what", ["receptors", "ligands"])
def test_nothing_that_can_be_read(series: Path, tmp_path: Path, what: str) -> None:
    data = shutil.copytree(series, tmp_path / "data")
    for place in data.iterdir():
        if what == "receptors":
            (place / "protein.pdb").write_text("END\n")
        else:
            (place / "ligands.sdf").write_text("x\n\n\nnothing\n$$$$\n")
    with pytest.raises(InputError, match=r"no train complexes are left\n.*The first of (4|12) that were left out: \w+"):
        train(make_recipe(data), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"by": "protein", "valid": 0}, "no validation complexes"),
        ({"by": "protein", "valid": 0.5, "test": 0.9}, "parts"),
    ],
)
def test_splits_that_leave_nothing(series: Path, tmp_path: Path, split: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        train(make_recipe(series, **changed({"split": split})), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_check_says_what_complexes_are_like(series: Path) -> None:
    facts = dict(check_complexes(make_recipe(series, **SEEN)).facts)
    assert facts["complexes"] == "4 train, 3 valid, 2 seen, 3 test"
    assert facts["receptors"].startswith("2 train, 1 valid")
    assert facts["residues"].startswith("42 to 42")
    assert facts["heavy atoms"].startswith("3 to 7")
    seen, test = (facts[f"known to training, {name}"] for name in ("seen", "test"))
    assert re.match(r"(\d) of \1 proteins with 90% or more equal residues \(the nearest 100%\)", seen)
    assert test.startswith("0 of 1 proteins")
    assert test.endswith("3 ligands")


def test_cofactors_belong_to_the_receptor(series: Path, tmp_path: Path) -> None:
    data = shutil.copytree(series, tmp_path / "data")
    (data / "p1" / "cofactors.sdf").write_text(record(LIGANDS[4], bound(LIGANDS[4], protein(1), 77), "cofactor"))
    parts, failures = read_parts(make_recipe(data), Listener())
    assert failures == []
    hetero = {
        s.info["protein"]: int(np.asarray(s.arrays["hetero"], dtype=bool).sum())
        for part in parts.values()
        for s in part
        if s.info["role"] == "receptor"
    }
    assert hetero == {"p0": 0, "p1": 6, "p2": 0, "p3": 0}
