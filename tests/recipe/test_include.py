"""Recipes that stand on others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eqcli.recipe.load import load_train_recipe

from .conftest import GOOD, mistakes

Write = Callable[..., Path]


def test_the_including_file_stands_above(write: Write) -> None:
    write(GOOD + "training: {max_epochs: 7, optimizer: {lr: 0.5}}\n", "base.yaml")
    write("training: {max_epochs: 8, ema: 0.5}\n", "second.yaml")
    recipe = load_train_recipe(
        write("include: [base.yaml, second.yaml]\nname: top\ntraining: {optimizer: {amsgrad: false}}\n")
    )
    assert recipe.name == "top"
    assert (recipe.training.max_epochs, recipe.training.ema) == (8, 0.5)
    assert (recipe.training.optimizer.lr, recipe.training.optimizer.amsgrad) == (0.5, False)


def test_aliases_meet_across_files(write: Write) -> None:
    write(GOOD + "  cutoff: 4\n", "base.yaml")
    assert load_train_recipe(write("include: base.yaml\nmodel: {r_max: 6}\n")).model.cutoff == 6


def test_null_takes_a_value_away(write: Write) -> None:
    write(GOOD + "training: {batch: {structures: 4}}\n", "base.yaml")
    recipe = load_train_recipe(write("include: base.yaml\ntraining: {batch: {structures: null, atoms: 90}}\n"))
    assert recipe.training.batch.atoms == 90


def test_mistakes_name_the_included_file(write: Write) -> None:
    base = write(GOOD + "sed: 1\n", "base.yaml")
    top = write("include: base.yaml\nlos: {}\n")
    assert [(Path(str(e.where.file)), e.where.line) for e in mistakes(top)] == [(base, 6), (top, 2)]


def test_circles_are_named(write: Write) -> None:
    write("include: b.yaml\n" + GOOD, "a.yaml")
    write("include: c.yaml\n", "b.yaml")
    write("include: a.yaml\n", "c.yaml")
    (error,) = mistakes(write("include: a.yaml\n", "top.yaml"))
    assert "a.yaml -> b.yaml -> c.yaml -> a.yaml" in error.message
    assert Path(str(error.where.file)).name == "c.yaml"


def test_one_file_may_be_included_twice_without_a_circle(write: Write) -> None:
    write(GOOD, "base.yaml")
    write("include: base.yaml\n", "left.yaml")
    write("include: base.yaml\n", "right.yaml")
    assert load_train_recipe(write("include: [left.yaml, right.yaml]\n")).name == "run"


def test_missing_includes_are_named_with_the_nearest(write: Write) -> None:
    write(GOOD, "base.yaml")
    (error,) = mistakes(write(GOOD + "include: bsae.yaml\n"))
    assert error.where.line == 6
    assert "bsae.yaml" in error.message
    assert "base.yaml" in error.hint
    (error,) = mistakes(write(GOOD + "include: {a: 1}\n"))
    assert "file name" in error.message
