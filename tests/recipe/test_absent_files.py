"""Data files that are gone: a mistake for a new run, none for one that goes on from its own copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup
from eqcli.recipe.load import load_train_recipe


def recipe(folder: Path, extra: str = "") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(f"name: gone\ndata: {{train: gone.xyz}}\nmodel: {{name: mace}}\n{extra}")
    return path


def test_absent_data_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ErrorGroup, match=r"no such file: gone\.xyz"):
        load_train_recipe(recipe(tmp_path))


def test_absent_data_may_be_allowed_and_other_mistakes_are_not(tmp_path: Path) -> None:
    loaded = load_train_recipe(recipe(tmp_path), files_must_exist=False)
    assert loaded.data.train == str(tmp_path / "gone.xyz")
    with pytest.raises(ErrorGroup, match="unknown key") as caught:
        load_train_recipe(recipe(tmp_path, "seeed: 1\n"), files_must_exist=False)
    assert "no such file" not in str(caught.value)
