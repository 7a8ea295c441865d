"""What a recipe does, in a few facts."""

from __future__ import annotations

from typing import Any

from eqcli.recipe.schema import BatchSection, PipelineRecipe, TrainRecipe
from eqcli.tasks.pipeline_state import REFERENCE


def describe_recipe(recipe: TrainRecipe | PipelineRecipe) -> dict[str, Any]:
    """Facts as plain data, for `eqcli info`."""
    if isinstance(recipe, PipelineRecipe):
        steps = [{"id": s.id, "task": s.task, "uses": _uses(s.with_)} for s in recipe.steps]
        return {"kind": "pipeline recipe", "name": recipe.name, "steps": steps}
    training, data = recipe.training, recipe.data
    return {
        "kind": "training recipe",
        "name": recipe.name,
        "seed": recipe.seed,
        "data": {part: files for part in ("train", "valid", "test") if (files := _files(getattr(data, part)))},
        "model": recipe.model.model_dump(mode="json", exclude_none=True),
        "loss": {"kind": recipe.loss.kind, **{t: getattr(recipe.loss, t) for t in ("energy", "forces", "stress")}},
        "max_epochs": training.max_epochs,
        "batch": _batch(training.batch),
        "optimizer": f"{training.optimizer.name}, learning rate {training.optimizer.lr:g}",
        "schedule": training.schedule.name,
        "precision": training.precision,
    }


def _files(value: str | tuple[str, ...] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _batch(batch: BatchSection) -> str:
    unit, size = next(iter(batch.model_dump(exclude_none=True).items()))
    return f"{size} {unit}"


def _uses(value: Any) -> list[str]:
    """The references in the arguments of a step."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(found for item in value for found in _uses(item)))
    return [".".join(match) for match in REFERENCE.findall(value)] if isinstance(value, str) else []
