"""What a recipe does, in a few facts."""

from __future__ import annotations

from typing import Any

from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.docking import DockingDataSection
from eqcli.recipe.dynamics import ParticleDataSection
from eqcli.recipe.generators import CrystalDataSection
from eqcli.recipe.load import Recipe
from eqcli.recipe.molecules import MoleculeDataSection
from eqcli.recipe.pointcloud import PairsSection
from eqcli.recipe.schema import BatchSection, DataSection, PipelineRecipe, TrainRecipe
from eqcli.tasks.pipeline_state import REFERENCE


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """Facts as plain data, for `eqcli info`."""
    if isinstance(recipe, PipelineRecipe):
        steps = [{"id": s.id, "task": s.task, "uses": _uses(s.with_)} for s in recipe.steps]
        return {"kind": "pipeline recipe", "name": recipe.name, "steps": steps}
    if isinstance(recipe, ClusterRecipe):
        return {"kind": "cluster", **recipe.model_dump(mode="json", exclude={"eqcli", "task"}, exclude_none=True)}
    training, data = recipe.training, recipe.data
    return {
        "kind": "training recipe",
        "name": recipe.name,
        "seed": recipe.seed,
        "data": _data(data),
        "model": recipe.model.model_dump(mode="json", exclude_none=True),
        **(_loss(recipe) if isinstance(recipe, TrainRecipe) else {}),
        "max_epochs": training.max_epochs,
        "batch": _batch(training.batch),
        "optimizer": f"{training.optimizer.name}, learning rate {training.optimizer.lr:g}",
        "schedule": training.schedule.name,
        "precision": training.precision,
    }


def _loss(recipe: TrainRecipe) -> dict[str, Any]:
    terms = {term: getattr(recipe.loss, term) for term in ("energy", "forces", "stress")}
    return {"loss": {"kind": recipe.loss.kind, **terms}}


def _data(
    data: DataSection
    | ParticleDataSection
    | CrystalDataSection
    | MoleculeDataSection
    | DockingDataSection
    | PairsSection,
) -> dict[str, Any]:
    """The files of each part, or how much of it is simulated."""
    parts = {part: value for part in ("train", "valid", "test") if (value := getattr(data, part))}
    if isinstance(data, ParticleDataSection) and data.system is not None:
        return {"system": data.system, **parts}
    if isinstance(data, PairsSection) and data.generated is not None:
        return {"generated": f"{data.generated.pairs} pairs an epoch", **{p: _files(v) for p, v in parts.items()}}
    return {part: _files(files) for part, files in parts.items()}


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
