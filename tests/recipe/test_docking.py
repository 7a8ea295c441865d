"""Recipes with `family: docking`: keys, splits, and folders as sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.models.docking.configs.equibind import EquiBindConfig
from eqcli.recipe.docking import DockingRecipe
from eqcli.recipe.fields import fields, takes_folders
from eqcli.recipe.load import load_recipe
from eqcli.recipe.template import json_schema, template

from .conftest import mistakes

Write = Callable[..., Path]

GOOD = """
family: docking
name: run
data: {train: complexes}
model: {name: equibind, channels: 32}
"""


@pytest.fixture
def good(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that is right, in the current folder: names in overrides are relative to that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "complexes").mkdir()
    return write(GOOD)


def test_a_recipe(good: Path, tmp_path: Path) -> None:
    recipe = load_recipe(good, ["data.split.by=year", "model.confidence.reach=5", "data.augmentation.crop=0"])
    assert isinstance(recipe, DockingRecipe)
    assert isinstance(recipe.model, EquiBindConfig)
    assert recipe.data.train == str(tmp_path / "complexes")
    assert recipe.model.confidence is not None
    assert (recipe.data.split.by, recipe.model.confidence.reach, recipe.data.augmentation.crop) == ("year", 5.0, 0.0)
    assert recipe.data.split.allow_leak is False


def test_sources_are_folders_or_files_one_or_several(good: Path, write: Write, tmp_path: Path) -> None:
    write("receptor,ligand\n", "table.csv")
    recipe = load_recipe(good, ["data.train=[complexes, table.csv]", "data.valid=table.csv"])
    assert isinstance(recipe, DockingRecipe)
    assert recipe.data.train == (str(tmp_path / "complexes"), str(tmp_path / "table.csv"))
    assert recipe.data.valid == str(tmp_path / "table.csv")


@pytest.mark.parametrize("key", ["data.train", "data.valid", "data.test", "data.generated.proteins"])
def test_a_misspelt_folder_is_refused_with_the_nearest_name(good: Path, key: str) -> None:
    (mistake,) = mistakes(good, f"{key}=complexs")
    assert "no such file" in mistake.message
    assert key in str(mistake)
    assert mistake.hint.endswith("complexes?")


def test_only_sources_of_complexes_may_be_folders(write: Write, tmp_path: Path) -> None:
    (tmp_path / "complexes").mkdir()
    path = write("name: run\ndata: {train: complexes}\nmodel: {name: mace}\n")
    (mistake,) = mistakes(path)
    assert "this is a folder" in mistake.message
    assert takes_folders(DockingRecipe.model_fields["data"].annotation) is False


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.chanels=3", "channels"),
        ("model.confidence.reech=3", "reach"),
        ("model.weights.position=3", "positions"),
        ("data.split.identty=0.5", "identity"),
        ("data.augmentation.crops=0.5", "crop"),
        ("data.conformer=5", "conformers"),
        ("model.name=equibnd", "equibind"),
        ("data.split.by=scaffold", "cluster"),
        ("data.split.identity=0", "identity"),
        ("data.augmentation.hidden=1", "hidden"),
        ("model.confidence.reach=20", "reach"),
        ("model.key_points=2", "key_points"),
        ("training.batch={atom: 3}", "atoms"),
    ],
)
def test_mistakes_name_the_key(good: Path, override: str, said: str) -> None:
    (mistake,) = mistakes(good, override)
    assert said in str(mistake)


def test_random_splits_are_refused_unless_asked_for(good: Path) -> None:
    (mistake,) = mistakes(good, "data.split.by=random")
    assert "--allow-leak" in str(mistake)
    recipe = load_recipe(good, ["data.split.by=random", "data.split.allow_leak=true"])
    assert isinstance(recipe, DockingRecipe)
    assert recipe.data.split.by == "random"


def test_no_confidence(good: Path) -> None:
    recipe = load_recipe(good, ["model.confidence=null"])
    assert isinstance(recipe, DockingRecipe)
    assert recipe.model.confidence is None


def test_the_template_is_the_defaults(write: Write, tmp_path: Path) -> None:
    text = template("docking")
    (tmp_path / "complexes").mkdir()
    recipe = load_recipe(write(text))
    assert isinstance(recipe, DockingRecipe)
    plain = {"family": "docking", "name": "my-model", "data": {"train": recipe.data.train}}
    assert recipe == DockingRecipe.model_validate({**plain, "model": {"name": recipe.model.name}})


def test_every_key_is_described() -> None:
    for key, info in fields(DockingRecipe).items():
        assert info.description, key


def test_the_schema_knows_the_family() -> None:
    definitions = json_schema()["$defs"]
    assert {"EquiBindConfig", "ConfidenceConfig", "DockingSplitSection"} <= set(definitions)
    assert "allow_leak" in definitions["DockingSplitSection"]["properties"]
