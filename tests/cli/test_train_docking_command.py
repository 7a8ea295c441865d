"""`eqcli recipe check`, `eqcli train` and `eqcli info` of docking networks, on folders of small complexes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.docking_folder import pdbbind_folder, series_folder
from tests.tasks.train_docking_case import TINY

from .conftest import Ended

Run = Callable[..., Ended]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe beside folders in both layouts."""
    series_folder(tmp_path / "complexes")
    pdbbind_folder(tmp_path / "bank", 5)
    sections = {
        "family": "docking",
        "name": "small",
        "data": {"train": "complexes", "split": {"by": "protein", "valid": 0.25, "test": 0.25, "seen": 0.4}},
        "model": TINY,
        "training": {"max_epochs": 2, "batch": {"structures": 2}},
    }
    path = tmp_path / "dock.yaml"
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return path


def words(ended: Ended) -> str:
    return " ".join((ended.out + ended.err).split())


def test_check_train_info_resume(eqcli: Run, recipe: Path) -> None:
    ended = eqcli("recipe", "check", "dock.yaml")
    assert ended.code == 0
    assert "4 train, 3 valid, 2 seen, 3 test" in words(ended)
    assert "known to training, test 0 of 1 proteins" in words(ended)

    ended = eqcli("train", "dock.yaml", "-o", "run", "--device", "cpu", "--json")
    result = json.loads(ended.out)
    assert ended.code == result["exit_code"] == 0
    assert {"valid", "seen", "test"} <= set(result["metrics"])
    assert all(np.isfinite(value) for own in result["metrics"].values() for value in own.values())

    facts = json.loads(eqcli("info", "run/model.safetensors", "--json").out)
    assert facts["family"] == "docking"
    assert facts["name"] == "equibind"
    assert facts["hyperparameters"]["channels"] == 12
    assert eqcli("info", "run/model.safetensors").code == 0
    assert eqcli("info", "run/data/train.h5").code == 0

    ended = eqcli("train", "dock.yaml", "-o", "run", "--device", "cpu")
    assert ended.code == 2
    assert "--resume" in words(ended)
    ended = eqcli("train", "dock.yaml", "training.max_epochs=3", "-o", "run", "--device", "cpu", "--resume")
    assert ended.code == 0
    assert "3 (" in words(ended)


def test_folders_as_in_pdbbind_by_year(eqcli: Run, recipe: Path) -> None:
    split = "data.split={by: year, valid: 1, test: 1}"
    ended = eqcli("train", "dock.yaml", "data.train=bank", split, "-o", "run", "--device", "cpu", "--json")
    result = json.loads(ended.out)
    assert ended.code == 0
    assert "seen" not in result["metrics"]
    assert "3 train, 1 valid, 1 test" in words(eqcli("recipe", "check", "dock.yaml", "data.train=bank", split))


def test_random_splits_need_allow_leak(eqcli: Run, recipe: Path) -> None:
    by = "data.split={by: random, valid: 0.25, test: 0.25}"
    for command in (("train",), ("recipe", "check")):
        ended = eqcli(*command, "dock.yaml", by)
        assert ended.code == 2
        assert "--allow-leak" in words(ended)
        assert "Traceback" not in ended.err
    assert not Path("runs").exists()
    ended = eqcli("train", "dock.yaml", by, "--allow-leak", "-o", "run", "--device", "cpu")
    assert ended.code == 0
    assert yaml.safe_load(Path("run/recipe.yaml").read_text())["data"]["split"]["allow_leak"] is True
    assert "of 3 proteins with 90% or more" in words(ended) or "of 4 proteins with 90% or more" in words(ended)


def test_allow_leak_is_for_docking(eqcli: Run, tmp_path: Path) -> None:
    (tmp_path / "d.extxyz").touch()
    (tmp_path / "r.yaml").write_text("name: run\ndata: {train: d.extxyz}\nmodel: {name: mace}\n")
    ended = eqcli("train", "r.yaml", "--allow-leak")
    assert ended.code == 2
    assert "allow_leak" in words(ended)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.train=complexs", "complexes"),
        ("model.chanels=8", "channels"),
        ("data.split.identty=0.4", "identity"),
        ("data.max_residues=5", "more than data.max_residues"),
        ("data.split.by=year", "year"),
    ],
)
def test_mistakes_are_told_without_a_traceback(eqcli: Run, recipe: Path, change: str, said: str) -> None:
    for command in (("recipe", "check", "dock.yaml", change), ("train", "dock.yaml", change, "-o", "run")):
        ended = eqcli(*command)
        assert ended.code == 2, ended
        assert said in words(ended)
        assert "Traceback" not in ended.err
    assert not Path("run").exists()


def test_what_is_left_out_is_told(eqcli: Run, recipe: Path) -> None:
    Path("complexes/p2/protein.pdb").write_text("END\n")
    ended = eqcli("train", "dock.yaml", "data.split.seen=0", "-o", "run", "--device", "cpu")
    assert "3 structures or groups of them are left out: p2/l0" in words(ended)
    assert ended.code in (0, 3)
