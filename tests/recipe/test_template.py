"""Templates load, and the JSON Schema says what the loader accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.recipe.dynamics import DynamicsRecipe
from eqcli.recipe.fields import fields
from eqcli.recipe.load import load_recipe
from eqcli.recipe.schema import TrainRecipe
from eqcli.recipe.steps import ARGUMENTS
from eqcli.recipe.template import json_schema, template

Write = Callable[..., Path]


def test_the_training_template_is_the_defaults(write: Write) -> None:
    write("", "train.extxyz")
    recipe = load_recipe(write(template("train")))
    plain = {"name": "my-model", "data": {"train": recipe.data.train}, "model": {"name": "mace"}}  # type: ignore[union-attr]
    assert recipe == TrainRecipe.model_validate(plain)


def test_the_pipeline_template_loads(write: Write) -> None:
    write("", "train.extxyz")
    write("", "test.extxyz")
    write(template("train"), "train.yaml")
    assert [step.task for step in load_recipe(write(template("pipeline"))).steps] == ["train", "predict", "evaluate"]  # type: ignore[union-attr]


def test_the_template_of_dynamics_is_the_defaults(write: Write) -> None:
    write("", "trajectories.h5")
    recipe = load_recipe(write(template("dynamics")))
    assert isinstance(recipe, DynamicsRecipe)
    plain = {"family": "dynamics", "name": "my-model", "data": {"train": recipe.data.train}, "model": {"name": "egnn"}}
    assert recipe == DynamicsRecipe.model_validate(plain)


def test_commented_keys_are_right_too(write: Write) -> None:
    write("", "train.extxyz")
    lines = template("train").splitlines()
    off = [line for line in lines if line.strip().startswith("# ") and line.rstrip().endswith(": null")]
    assert len(off) > 5
    text = "\n".join(line.replace("# ", "", 1) if line in off else line for line in lines)
    load_recipe(write(text))


@pytest.mark.parametrize("model", [TrainRecipe, DynamicsRecipe, *ARGUMENTS.values()])
def test_every_key_is_described(model: type) -> None:
    for key, info in fields(model).items():
        assert info.description, f"{model.__name__}.{key}"


def test_schema_knows_keys_aliases_and_steps() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    assert {"cutoff", "r_max"} <= set(definitions["MACEConfig"]["properties"])
    assert "include" in definitions["TrainRecipe"]["properties"]
    assert definitions["TrainRecipe"]["additionalProperties"] is False
    assert set(ARGUMENTS) == {case["if"]["properties"]["task"]["const"] for case in definitions["Step"]["allOf"]}
    references = set(_references(schema))
    assert {name.removeprefix("#/$defs/") for name in references} <= set(definitions)


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [r for item in value.values() for r in _references(item)]
    return [r for item in value for r in _references(item)] if isinstance(value, list) else []
