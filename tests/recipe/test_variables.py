"""Variables of pipelines, and sections laid over a training recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.recipe.load import load_pipeline

from .conftest import GOOD, mistakes

Write = Callable[..., Path]

PIPELINE = """
task: pipeline
name: p
vars:
  data: {train: data.extxyz, split: {valid: 7}}
  epochs: 3
  twice: {batch: {structures: "${vars.epochs}"}, max_epochs: "${vars.epochs}"}
  shift: true
steps:
  - id: fit
    task: train
    with:
      recipe: sub/train.yaml
      changes:
        data: ${vars.data}
        training: ${vars.twice}
      overrides: ["name=run-${vars.epochs}", model.num_channels=4]
  - id: judge
    task: evaluate
    with: {model: "${fit.model}", data: data.extxyz, audit: "${vars.shift}", seed: "${vars.epochs}"}
"""


@pytest.fixture
def pipeline(write: Write) -> Path:
    write(GOOD.replace("data.extxyz", "gone.extxyz"), "sub/train.yaml")
    return write(PIPELINE)


def test_values_stand_for_their_names(pipeline: Path) -> None:
    fit, judge = load_pipeline(pipeline).steps
    training = fit.with_["recipe"]
    assert training["name"] == "run-3"
    assert training["training"]["max_epochs"] == training["training"]["batch"]["structures"] == 3
    assert training["data"]["split"]["valid"] == 7
    assert training["data"]["train"] == str(pipeline.parent / "data.extxyz")
    assert training["model"]["channels"] == 4
    assert judge.with_["audit"] is True
    assert judge.with_["seed"] == 3


def test_the_command_line_sets_them(
    pipeline: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine.extxyz").write_text("", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    fit, _ = load_pipeline(pipeline, ["vars.epochs=9", "vars.data.train=mine.extxyz"]).steps
    assert fit.with_["recipe"]["training"]["max_epochs"] == 9
    assert fit.with_["recipe"]["data"]["train"] == str(elsewhere / "mine.extxyz")


def test_a_wrong_value_is_told_where_it_was_stated(pipeline: Path) -> None:
    (error,) = mistakes(pipeline, "vars.epochs=0")[:1]
    assert "vars.epochs=0" in str(error)
    (error,) = [e for e in mistakes(pipeline, "~vars.epochs") if "no variable" in str(e)][:1]
    assert "epochs" in str(error)
    assert error.where.line is not None


def test_an_unknown_variable_has_a_near_name(pipeline: Path) -> None:
    pipeline.write_text(pipeline.read_text().replace("${vars.shift}", "${vars.shft}"))
    (error,) = mistakes(pipeline)
    assert "no variable 'shft'" in error.message
    assert "shift" in error.hint
    pipeline.write_text(pipeline.read_text().replace("${vars.shft}", "${vars.}"))
    assert "no reference" in mistakes(pipeline)[0].message
    pipeline.write_text(pipeline.read_text().replace("${vars.}", "1").replace("epochs: 3", "epochs: ${vars.shift}"))
    assert "no variable 'shift'" in mistakes(pipeline)[0].message


def test_sections_in_changes_use_the_aliases_of_recipes(pipeline: Path) -> None:
    text = pipeline.read_text().replace("training: ${vars", "model: {r_max: 4.5}\n        training: ${vars")
    pipeline.write_text(text)
    assert load_pipeline(pipeline).steps[0].with_["recipe"]["model"]["cutoff"] == 4.5
