"""Changes of a recipe from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.recipe.load import load_recipe, load_train_recipe

from .conftest import GOOD, mistakes

Write = Callable[..., Path]


def test_values_are_yaml_and_later_ones_win(write: Write) -> None:
    recipe = load_train_recipe(
        write(GOOD + "training: {batch: {structures: 4}}\n"),
        [
            "model.channels=8",
            "model.channels=16",
            "training.batch={atoms: 200}",
            "training.optimizer.lr=1e-3",
            "model.radial_MLP=[8, 8]",
            "model.radial_MLP.1=9",
            "training.ema=null",
            "model.num_radial_basis= 5",
        ],
    )
    assert recipe.model.channels == 16
    assert recipe.training.batch.atoms == 200
    assert recipe.training.batch.structures is None
    assert recipe.training.optimizer.lr == 1e-3
    assert recipe.model.radial_MLP == (8, 9)
    assert recipe.training.ema is None
    assert recipe.model.num_radial_basis == 5


def test_aliases_replace_what_the_file_says(write: Write) -> None:
    assert load_train_recipe(write(GOOD + "  cutoff: 4\n"), ["model.r_max=6"]).model.cutoff == 6
    assert load_train_recipe(write(GOOD + "  r_max: 4\n"), ["~model.cutoff"]).model.cutoff == 5


def test_removal(write: Write) -> None:
    path = write(GOOD + "training: {max_epochs: 7}\n")
    assert load_train_recipe(path, ["~training"]).training.max_epochs == 200
    (error,) = mistakes(path, "~training.max_epoch")
    assert str(error.where.file) == "override '~training.max_epoch'"
    assert "max_epochs" in error.hint


def test_steps_by_position_and_by_name(write: Write) -> None:
    path = write(
        """
        task: pipeline
        name: p
        steps:
          - {id: one, task: convert, with: {inputs: data.extxyz, output: a.h5}}
          - {id: two, task: convert, with: {inputs: data.extxyz, output: b.h5}}
        """
    )
    recipe = load_recipe(path, ["steps.0.with.output=c.h5", "steps.two.with.output=d.h5"])
    assert [step.with_["output"] for step in recipe.steps] == ["c.h5", "d.h5"]  # type: ignore[union-attr]
    (error,) = mistakes(path, "steps.tow.with.output=d.h5")
    assert "two" in error.hint


@pytest.mark.parametrize(
    ("text", "key", "message", "hint"),
    [
        ("training.max_epochs", None, "not an override", "key=value"),
        ("~training.max_epochs=3", None, "not an override", "~key"),
        ("=3", None, "not an override", ""),
        ("model..x=3", None, "not an override", ""),
        ("model.chanels=3", "model.chanels", "unknown key", "channels"),
        ("modle.channels=3", "modle", "unknown key", "model"),
        ("model.channels=many", "model.channels", "a whole number; found 'many'", ""),
        ("name.x=1", "name", "no keys below", ""),
        ("training.batch=[1", None, "not valid YAML", ""),
        ("data.train=nowhere.extxyz", "data.train", "no such file", ""),
        ("model.radial_MLP.7=1", "model.radial_MLP.7", "no entry '7'", "0 to 1"),
        ("training.batch={atoms: 3, atoms: 4}", "atoms", "twice", ""),
    ],
)
def test_mistakes_name_the_override(write: Write, text: str, key: str | None, message: str, hint: str) -> None:
    (error,) = mistakes(write(GOOD + "  radial_MLP: [8, 8]\n"), text)
    assert str(error.where.file) == f"override '{text}'"
    assert error.where.line is None
    assert error.where.key == key
    assert message in error.message
    assert hint in error.hint
