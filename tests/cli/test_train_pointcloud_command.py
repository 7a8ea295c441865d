"""`eqcli recipe check`, `eqcli train` and `eqcli info` of networks of registration, on a few small pairs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.tasks.train_pointcloud_case import sections

from .conftest import Ended

Run = Callable[..., Ended]
RECIPES = Path(__file__).parents[2] / "recipes" / "pointcloud"
PAIRS = ("-n", "2", "--overlap", "0.4", "0.8", "--kinds", "object", "--voxels", "800", "1000", "--outliers", "0")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "pare.yaml"
    path.write_text(yaml.safe_dump(sections()), encoding="utf-8")
    return path


def words(ended: Ended) -> str:
    return " ".join((ended.out + ended.err).split())


def test_check_train_info_resume(eqcli: Run, recipe: Path) -> None:
    ended = eqcli("recipe", "check", "pare.yaml")
    assert ended.code == 0
    assert "4 train, 2 valid" in words(ended)
    ended = eqcli("train", "pare.yaml", "-o", "run", "--device", "cpu", "--json")
    result = json.loads(ended.out)
    assert ended.code == result["exit_code"] == 0
    assert all(np.isfinite(value) for value in result["metrics"]["valid"].values())
    facts = json.loads(eqcli("info", "run/model.safetensors", "--json").out)
    assert (facts["family"], facts["name"]) == ("pointcloud", "pare-net")
    assert facts["hyperparameters"]["channels"] == [4, 6, 8]
    assert eqcli("info", "run/model.safetensors").code == 0
    ended = eqcli("train", "pare.yaml", "-o", "run", "--device", "cpu")
    assert ended.code == 2
    assert "--resume" in words(ended)
    ended = eqcli("train", "pare.yaml", "training.max_epochs=3", "-o", "run", "--device", "cpu", "--resume")
    assert ended.code == 0
    assert "3 (" in words(ended)


def test_on_a_folder_of_pairs_that_the_program_made(eqcli: Run, recipe: Path) -> None:
    assert eqcli("generate", "pairs", "-o", "pairs", *PAIRS).code == 0
    changes = ("~data.generated", "data.train=pairs", "data.valid=pairs/pairs.csv")
    assert "2 of files and 0 generated" in words(eqcli("recipe", "check", "pare.yaml", *changes))
    ended = eqcli("train", "pare.yaml", *changes, "-o", "run", "--device", "cpu")
    assert ended.code == 0, ended.err
    published = eqcli(
        "recipe", "check", str(RECIPES / "pare-net-published.yaml"), "data.train=pairs", "data.valid=pairs"
    )
    assert published.code == 0, published.err
    assert "2 train, 2 valid" in words(published)


def test_the_shipped_recipe_is_right(eqcli: Run) -> None:
    ended = eqcli("recipe", "check", str(RECIPES / "pare-net.yaml"), "data.generated.voxels=[800, 1000]")
    assert ended.code == 0, ended.err
    assert "1000 train, 32 valid" in words(ended)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.generated.valid=0", "no validation pairs"),
        ("data.train=pairz", "pairz"),
        ("data.train=empty", "no pairs of clouds here"),
        ("data.generated.overlap=[0.5, 0.2]", "overlap"),
        ("model.chanels=[8, 8]", "channels"),
        ("data.generated.pars=3", "pairs"),
    ],
)
def test_mistakes_are_told_without_a_traceback(eqcli: Run, recipe: Path, change: str, said: str) -> None:
    Path("empty").mkdir()
    for command in (("recipe", "check", "pare.yaml", change), ("train", "pare.yaml", change, "-o", "run")):
        ended = eqcli(*command)
        assert ended.code == 2, ended
        assert said in words(ended)
        assert "Traceback" not in ended.err
    assert not Path("run").exists()
