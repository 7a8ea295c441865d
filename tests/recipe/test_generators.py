"""Recipes with `family: generators`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.models.generators.configs.common import CSPNetConfig, PairTransformerConfig
from eqcli.models.generators.configs.diffcsp import DiffCSPConfig
from eqcli.recipe.fields import fields
from eqcli.recipe.generators import GeneratorRecipe
from eqcli.recipe.load import load_recipe
from eqcli.recipe.template import json_schema, template

from .conftest import mistakes

Write = Callable[..., Path]

GOOD = """
family: generators
name: run
data: {train: data.extxyz}
model: {name: diffcsp, denoiser: {name: pair-transformer, heads: 4, channels: 32}}
"""


def test_a_recipe(write: Write) -> None:
    recipe = load_recipe(write(GOOD), ["model.species=bits", "data.primitive=true"])
    assert isinstance(recipe, GeneratorRecipe)
    assert isinstance(recipe.model, DiffCSPConfig)
    assert isinstance(recipe.model.denoiser, PairTransformerConfig)
    assert (recipe.model.species, recipe.model.denoiser.heads, recipe.data.primitive) == ("bits", 4, True)


def test_the_template_is_the_defaults(write: Write) -> None:
    text = template("generators")
    write("", "train.csv")
    recipe = load_recipe(write(text))
    assert isinstance(recipe, GeneratorRecipe)
    plain = {"family": "generators", "name": "my-model", "data": {"train": recipe.data.train}}
    assert recipe == GeneratorRecipe.model_validate({**plain, "model": {"name": recipe.model.name}})
    assert isinstance(recipe.model.denoiser, CSPNetConfig)


def test_every_key_is_described() -> None:
    for key, info in fields(GeneratorRecipe).items():
        assert info.description, key


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.chanels=3", "model.chanels"),
        ("model.denoiser.frequency=3", "model.denoiser.frequency"),
        ("model.denoiser.heads=5", "cannot be shared out"),
        ("model.name=diffscp", "diffcsp"),
        ("model.denoiser.name=egnn", "cspnet"),
        ("model.species=letters", "model.species"),
        ("model.lattice=parameters", "model.lattice"),
        ("model.sigma_min=0.7", "sigma_min"),
        ("model.conditions.dropout=2", "model.conditions.dropout"),
        ("data.split.valid=-1", "data.split.valid"),
        ("data.train=absent.csv", "absent.csv"),
        ("loss.energy=1", "loss"),
    ],
)
def test_mistakes(write: Write, override: str, said: str) -> None:
    found = mistakes(write(GOOD), override)
    assert any(said in str(error) for error in found), found


def test_weights_that_weigh_nothing(write: Write) -> None:
    text = GOOD.replace("diffcsp", "flowmm")
    found = mistakes(write(text), "model.coordinates_weight=0", "model.lengths_weight=0")
    assert "not both zero" in str(found[0])


def test_the_schema_knows_generators() -> None:
    definitions = json_schema()["$defs"]
    assert {"FlowMMConfig", "DiffCSPConfig", "CSPNetConfig", "PairTransformerConfig"} <= set(definitions)
    assert {"heads", "frequencies"} <= set(definitions["PairTransformerConfig"]["properties"])
