"""Recipes in, and every mistake told with its place and the nearest right name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqcli.errors import ErrorGroup
from eqcli.recipe.load import load_pipeline, load_recipe, load_train_recipe, resolved_yaml
from eqcli.recipe.schema import TrainRecipe
from eqcli.recipe.yaml12 import dump_yaml

from .conftest import GOOD, mistakes

Write = Callable[..., Path]


def test_defaults_and_absolute_paths(write: Write) -> None:
    path = write(GOOD)
    recipe = load_train_recipe(path)
    expected = TrainRecipe.model_validate(
        {"name": "run", "data": {"train": str(path.parent / "data.extxyz")}, "model": {"name": "mace"}}
    )
    assert recipe == expected


def test_resolved_recipe_loads_to_itself(write: Write) -> None:
    recipe = load_recipe(write(GOOD + "training:\n  optimizer:\n    lr: 1e-3\nloss: {config_weights: {on: 2}}\n"))
    assert load_recipe(write(resolved_yaml(recipe), "resolved.yaml")) == recipe
    assert recipe.loss.config_weights == {"on": 2.0}  # type: ignore[union-attr]


ONE_MISTAKE = [
    ("sed: 3", "sed", "unknown key", "seed"),
    ("lr: 0.1", "lr", "unknown key", "training.optimizer.lr"),
    ("training: {max_epoch: 3}", "training.max_epoch", "unknown key", "max_epochs"),
    ("training: {max_epochs: many}", "training.max_epochs", "a whole number; found 'many'", ""),
    ("training: {max_epochs: 2.5}", "training.max_epochs", "a whole number; found 2.5", ""),
    ("training: {max_epochs: true}", "training.max_epochs", "a whole number; found true", ""),
    ("training: {max_epochs: 0}", "training.max_epochs", "at least 1; found 0", ""),
    ("training: {ema: 1}", "training.ema", "less than 1; found 1", ""),
    ("training: {optimizer: {lr: '1e-3'}}", "training.optimizer.lr", "a number; found '1e-3'", ""),
    ("training: {optimizer: {lr: .nan}}", "training.optimizer.lr", "a number; found '.nan'", ""),
    ("training: {optimizer: {name: adm}}", "training.optimizer.name", "one of adam, adamw; found 'adm'", "adam"),
    ("training: {schedule: cosine}", "training.schedule", "a section; found 'cosine'", ""),
    ("training: {batch: {atoms: 3, edges: 4}}", "training.batch", "exactly one of", ""),
    ("training: {loggers: csv}", "training.loggers", "a list", ""),
    ("training: {loggers: [cvs]}", "training.loggers.0", "'csv' or 'tensorboard'; found 'cvs'", ""),
    ("loss: {config_weights: {slab: x}}", "loss.config_weights.slab", "expected a number; found 'x'", ""),
    ("loss: {energy: 0, forces: 0}", "loss", "positive weight", ""),
    ("task: trian", "task", "one of train, pipeline, cluster; found 'trian'", "train"),
    ("eqcli: 2", "eqcli", "expected 1; found 2", ""),
    ("seed: -1", "seed", "at least 0; found -1", ""),
]


@pytest.mark.parametrize(("text", "key", "message", "hint"), ONE_MISTAKE)
def test_one_mistake_is_one_error(write: Write, text: str, key: str, message: str, hint: str) -> None:
    path = write(GOOD + text + "\n")
    (error,) = mistakes(path)
    assert (error.where.file, error.where.line, error.where.key) == (path, 6, key)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("model", "key", "message", "hint"),
    [
        ("{name: mcae}", "model.name", "found 'mcae'", "mace"),
        ("{}", "model.name", "required: one of mace", ""),
        ("mace", "model", "a section; found 'mace'", ""),
        ("{name: mace, chanels: 3}", "model.chanels", "unknown key", "channels"),
        ("{name: mace, num_chanels: 3}", "model.num_chanels", "unknown key", "num_channels"),
        ("{name: mace, correlation: 9}", "model.correlation", "at most 3; found 9", ""),
        ("{name: mace, radial_MLP: [64, x]}", "model.radial_MLP.1", "expected a whole number; found 'x'", ""),
        ("{name: mace, MLP_irreps: 16x1o}", "model.MLP_irreps", "'16x0e'", ""),
        ("{name: mace, zbl: {num_cutof_basis: 6}}", "model.zbl.num_cutof_basis", "unknown key", "num_cutoff_basis"),
        ("{name: mace, cutoff: 5, r_max: 5}", "model.r_max", "two names of one thing", ""),
    ],
)
def test_mistakes_in_the_model(write: Write, model: str, key: str, message: str, hint: str) -> None:
    (error,) = mistakes(write(f"name: a\ndata: {{train: data.extxyz}}\nmodel: {model}\n"))
    assert (error.where.line, error.where.key) == (3, key)
    assert message in error.message
    assert hint in error.hint


def test_a_wrong_reference_energy_is_one_error(write: Write) -> None:
    path = write("name: a\nmodel: {name: mace}\ndata:\n  train: data.extxyz\n  reference_energies: {H: abc, C: -1.0}\n")
    (error,) = mistakes(path)
    assert (error.where.line, error.where.key) == (5, "data.reference_energies.H")
    assert error.message == "expected a number; found 'abc'"


def test_all_mistakes_at_once_in_order(write: Write) -> None:
    path = write(
        """
        nme: run
        data:
          train: missing.extxyz
          vaild: data.extxyz
          reference_energies: {Hh: 1.0}
        data: 3
        model:
          name: mcae
          chanels: 8
        """
    )
    found = [(e.where.line, e.where.key) for e in mistakes(path)]
    assert found == [
        (1, "name"),
        (1, "nme"),
        (3, "data.train"),
        (4, "data.vaild"),
        (5, "data.reference_energies"),
        (6, "data"),
        (8, "model.name"),
        (9, "model.chanels"),
    ]


def test_missing_keys_say_what_they_are(write: Write) -> None:
    errors = mistakes(write("nmae: x\n"))
    assert {e.where.key for e in errors} == {"name", "nmae", "data", "model"}
    told = next(e for e in errors if e.where.key == "name")
    assert "Name of the run" in told.message
    assert "nmae" in told.hint


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "just words\n"])
def test_no_recipe_at_all(write: Write, text: str) -> None:
    (error,) = mistakes(write(text))
    assert error.hint


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in mistakes(path)[0].message


def test_missing_file_has_the_nearest_name(write: Write) -> None:
    path = write(GOOD)
    assert "recipe.yaml" in mistakes(path.with_name("recpie.yaml"))[0].hint


def test_data_files_must_be_files(write: Write) -> None:
    path = write(GOOD.replace("data.extxyz", "[data.extxyz, dat.extxyz, .]"))
    first, second = mistakes(path)
    assert first.where.key == "data.train.1"
    assert "data.extxyz" in first.hint
    assert "folder" in second.message


def test_paths_belong_to_the_file_that_states_them(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write(GOOD)
    (base.parent / "deep").mkdir()
    top = write("include: ../recipe.yaml\nname: deep\n", "deep/top.yaml")
    elsewhere = base.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.extxyz").touch()
    monkeypatch.chdir(elsewhere)
    recipe = load_train_recipe(top, ["data.valid=mine.extxyz"])
    assert recipe.data.train == str(base.parent / "data.extxyz")
    assert recipe.data.valid == str(elsewhere / "mine.extxyz")


@pytest.mark.parametrize("name", ['"\\0"', '"base\\0.yaml"', "x" * 300, "long/" * 2000])
def test_what_cannot_be_the_name_of_a_file_is_a_mistake(write: Write, name: str) -> None:
    found = [error for error in mistakes(write(f"include: [{name}]\n")) if "file to include" in error.message]
    assert len(found) == 1
    assert "key 'include'" in str(found[0].where)


def test_the_environment_does_not_count(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/tmp")
    path = write(GOOD.replace("data.extxyz", '"$HOME/data.extxyz"'))
    assert "$HOME" in mistakes(path)[0].message


def test_the_kind_of_recipe_is_checked(write: Write) -> None:
    path = write(GOOD)
    assert load_train_recipe(path).name == "run"
    with pytest.raises(Exception, match="not a pipeline"):
        load_pipeline(path)


KEYS = ["name", "data", "train", "model", "training", "batch", "steps", "id", "task", "with", "recipe", "include"]
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["mace", "train"])
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_whatever_is_written_only_mistakes_are_told(write: Write, data: object) -> None:
    path = write("")
    path.write_text(dump_yaml(data), encoding="utf-8")
    try:
        load_recipe(path)
        errors = []
    except ErrorGroup as group:
        errors = group.errors
    assert all(error.message and str(error.where) for error in errors)
