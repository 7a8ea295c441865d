"""`eqcli recipe show|check|schema|new`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eqcli.errors import ErrorGroup, InputError
from eqcli.recipe.load import load_recipe

from .conftest import Ended

Run = Callable[..., Ended]


@dataclass
class Report:
    """What the look at the data found."""

    facts: list[tuple[str, str]] = field(default_factory=lambda: [("structures", "5 train")])
    warnings: list[str] = field(default_factory=lambda: ["odd units"])

    def as_dict(self) -> dict[str, Any]:
        return {"structures": 5}


@pytest.fixture
def data_check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the look at the data."""
    module = ModuleType("eqcli.tasks.check")
    module.check_data = lambda recipe, report: Report()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eqcli.tasks.check", module)
    return module


def test_show_prints_a_recipe_that_loads_to_the_same(eqcli: Run, recipe: Path) -> None:
    text = eqcli("recipe", "show", "recipe.yaml", "model.channels=8").out
    again = recipe.with_name("again.yaml")
    again.write_text(text, encoding="utf-8")
    assert load_recipe(again) == load_recipe(recipe, ["model.channels=8"])
    assert json.loads(eqcli("recipe", "show", "recipe.yaml", "--json").out)["model"]["channels"] == 64


def test_check_says_what_it_saw(eqcli: Run, recipe: Path, data_check: ModuleType) -> None:
    ended = eqcli("recipe", "check", "recipe.yaml")
    assert ended.code == 0
    assert "structures  5 train" in ended.out
    assert "warning: odd units" in ended.err
    found = json.loads(eqcli("recipe", "check", "recipe.yaml", "--json").out)
    assert (found["valid"], found["data"]) == (True, {"run": {"structures": 5}})


def test_check_fails_with_the_data(eqcli: Run, recipe: Path, data_check: ModuleType) -> None:
    def bad(recipe: Any, report: Any) -> None:
        raise ErrorGroup([InputError("no forces"), InputError("no energy")])

    data_check.check_data = bad  # type: ignore[attr-defined]
    ended = eqcli("recipe", "check", "recipe.yaml", "--json")
    assert ended.code == 2
    assert len(json.loads(ended.out)["error"]["errors"]) == 2
    assert eqcli("recipe", "check", "recipe.yaml", "--no-data").code == 0


def test_new_and_schema_write_files_once(eqcli: Run, recipe: Path) -> None:
    recipe.with_name("train.extxyz").touch()
    assert eqcli("recipe", "new", "train", "-o", "new.yaml").code == 0
    assert load_recipe(recipe.with_name("new.yaml")).name == "my-model"
    ended = eqcli("recipe", "new", "-o", "new.yaml")
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert eqcli("recipe", "new", "-o", "new.yaml", "--overwrite").code == 0
    assert "task: pipeline" in eqcli("recipe", "new", "pipeline").out
    assert "$defs" in json.loads(eqcli("recipe", "schema").out)
