"""The training recipes of all families of models."""

from __future__ import annotations

from typing import Any

from eqcli.recipe.docking import DockingRecipe
from eqcli.recipe.dynamics import DynamicsRecipe
from eqcli.recipe.fields import Model
from eqcli.recipe.generators import GeneratorRecipe
from eqcli.recipe.molecules import MoleculesRecipe
from eqcli.recipe.pointcloud import PointCloudRecipe
from eqcli.recipe.schema import TrainRecipe

TrainingRecipe = TrainRecipe | DynamicsRecipe | GeneratorRecipe | MoleculesRecipe | DockingRecipe | PointCloudRecipe

TRAININGS: dict[str, Model] = {
    "potentials": TrainRecipe,
    "dynamics": DynamicsRecipe,
    "generators": GeneratorRecipe,
    "molecules": MoleculesRecipe,
    "docking": DockingRecipe,
    "pointcloud": PointCloudRecipe,
}
"""By the `family` of a recipe; potentials where it names none."""


def training_recipe(plain: dict[str, Any]) -> TrainingRecipe:
    """The recipe that plain data stand for, whatever its family. Raises pydantic's ValidationError."""
    recipe = TRAININGS[plain.get("family", "potentials")].model_validate(plain)
    assert isinstance(recipe, TrainingRecipe)
    return recipe
