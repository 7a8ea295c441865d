"""From a pipeline recipe to the steps that the pipeline task runs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from eqcli.engine.guest_name import is_guest
from eqcli.recipe.fields import annotation_of
from eqcli.recipe.paths import takes_files
from eqcli.recipe.schema import PipelineRecipe, Section
from eqcli.recipe.steps import ARGUMENTS, TrainStep, outputs
from eqcli.recipe.training import training_recipe
from eqcli.tasks.pipeline_state import PlannedStep


def plan(recipe: PipelineRecipe) -> tuple[PlannedStep, ...]:
    """The steps of a loaded pipeline, with typed arguments and the files that they read."""
    return tuple(_planned(step.id, step.task, step.with_) for step in recipe.steps)


def named_files(section: BaseModel) -> list[str]:
    """Every file that a section and those below it name, references included."""
    found: list[str] = []
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found += named_files(value)
        elif takes_files(annotation_of(info)):
            several = [value] if isinstance(value, str) else value or ()
            found += [v for v in several if isinstance(v, str) and not is_guest(v)]
    return found


def _planned(name: str, task: str, given: dict[str, Any]) -> PlannedStep:
    section: Section = ARGUMENTS[task].model_validate(given)
    arguments = {key: getattr(section, key) for key in type(section).model_fields}
    files = named_files(section)
    if isinstance(section, TrainStep):
        assert isinstance(section.recipe, dict)
        training = training_recipe(section.recipe)
        arguments, files = {"recipe": training}, named_files(training)
    return PlannedStep(name, task, arguments, tuple(files), outputs(task, section))
