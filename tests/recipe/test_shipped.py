"""Every recipe that ships is right as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup
from eqcli.recipe.load import load_recipe
from eqcli.recipe.plan import plan
from eqcli.recipe.schema import PipelineRecipe

RECIPES = Path(__file__).parents[2] / "recipes"
NOT_SHIPPED = "not shipped"
"""A recipe whose comment says this of its data may name files that are not there."""


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.name)
def test_shipped_recipes_load(path: Path) -> None:
    try:
        recipe = load_recipe(path)
    except ErrorGroup as group:
        missing = all(error.message.startswith("no such file") for error in group.errors)
        if not missing or NOT_SHIPPED not in path.read_text(encoding="utf-8"):
            raise
        return
    if isinstance(recipe, PipelineRecipe):
        assert [step.id for step in plan(recipe)] == [step.id for step in recipe.steps]


def test_the_quickstart_does_the_main_job() -> None:
    recipe = load_recipe(RECIPES / "pipelines" / "quickstart.yaml")
    assert isinstance(recipe, PipelineRecipe)
    assert {step.task for step in recipe.steps} == {"train", "predict", "relax", "evaluate"}
