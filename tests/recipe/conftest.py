"""Recipes written into a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from eqcli.errors import EqcliError, ErrorGroup
from eqcli.recipe.load import load_recipe

GOOD = """
name: run
data:
  train: data.extxyz
model:
  name: mace
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text under a name and gives the path; `data.extxyz` is there for recipes to name."""
    (tmp_path / "data.extxyz").write_text("", encoding="utf-8")

    def write(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


def mistakes(path: Path, *overrides: str) -> list[EqcliError]:
    """Every mistake that loading reports."""
    with pytest.raises(ErrorGroup) as caught:
        load_recipe(path, overrides)
    return caught.value.errors
