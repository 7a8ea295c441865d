"""Pipelines: arguments of steps, references, and training recipes inside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.recipe.load import load_pipeline, resolved_yaml
from eqcli.recipe.plan import plan

from .conftest import GOOD, mistakes

Write = Callable[..., Path]

PIPELINE = """
task: pipeline
name: p
steps:
  - id: fit
    task: train
    with: {recipe: sub/train.yaml, overrides: [model.channels=8, data.valid=here.extxyz]}
  - id: predict
    task: predict
    with:
      model: ${fit.model}
      inputs: [data.extxyz]
  - id: relax
    task: relax
    with: {model: "${fit.model}", inputs: "${predict.output}", fmax: 0.1, trajectory: steps.h5}
"""


@pytest.fixture
def pipeline(write: Write) -> Callable[[str], Path]:
    write(GOOD.replace("data.extxyz", "../data.extxyz"), "sub/train.yaml")
    write("", "here.extxyz")
    return write


def test_training_recipes_are_read_into_the_step(pipeline: Callable[[str], Path]) -> None:
    path = pipeline(PIPELINE)
    recipe = load_pipeline(path)
    training = recipe.steps[0].with_["recipe"]
    assert training["model"]["channels"] == 8
    assert training["data"]["train"] == str(path.parent / "data.extxyz")
    assert training["data"]["valid"] == str(path.parent / "here.extxyz")
    assert recipe.steps[2].with_["fmax"] == 0.1
    assert recipe.steps[1].with_["inputs"] == [str(path.parent / "data.extxyz")]


def test_resolved_pipeline_loads_to_itself(pipeline: Callable[..., Path]) -> None:
    recipe = load_pipeline(pipeline(PIPELINE))
    assert load_pipeline(pipeline(resolved_yaml(recipe), "resolved.yaml")) == recipe


def test_the_plan_knows_files_and_uses(pipeline: Callable[[str], Path]) -> None:
    fit, predict, relax = plan(load_pipeline(pipeline(PIPELINE)))
    assert fit.uses == ()
    assert {Path(f).name for f in fit.files} == {"data.extxyz", "here.extxyz"}
    assert predict.uses == ("fit",)
    assert relax.uses == ("fit", "predict")
    assert relax.outputs == {"output": "relaxed.extxyz", "trajectory": "steps.h5"}
    assert relax.arguments["fmax"] == 0.1


def test_training_on_what_a_step_made(pipeline: Callable[[str], Path]) -> None:
    path = pipeline(
        """
        task: pipeline
        name: p
        steps:
          - {id: data, task: convert, with: {inputs: data.extxyz, output: d.h5}}
          - id: fit
            task: train
            with: {recipe: {name: a, data: {train: "${data.output}"}, model: {name: mace}}}
        """
    )
    assert plan(load_pipeline(path))[1].uses == ("data",)


@pytest.mark.parametrize(
    ("change", "line", "key", "message", "hint"),
    [
        (("model: ${fit.model}", "model: ${fit.modle}"), 10, "steps.1.with.model", "makes no 'modle'", "model"),
        (("model: ${fit.model}", "model: ${fti.model}"), 10, "steps.1.with.model", "no earlier step 'fti'", "fit"),
        (("model: ${fit.model}", "model: ${relax.output}"), 10, "steps.1.with.model", "not come before", "order"),
        (("model: ${fit.model}", "model: ${predict.output}"), 10, "steps.1.with.model", "not come before", ""),
        (("model: ${fit.model}", "model: ${fit}"), 10, "steps.1.with.model", "not a reference", "${step.output}"),
        (("model: ${fit.model}", "model: x/${fit.run}"), 10, "steps.1.with.model", "not a reference", ""),
        (("model: ${fit.model}", "modell: ${fit.model}"), 10, "steps.1.with.modell", "unknown key", "model"),
        (("fmax: 0.1", "fmax: tight"), 14, "steps.2.with.fmax", "a number; found 'tight'", ""),
        (("fmax: 0.1", "fmx: 0.1"), 14, "steps.2.with.fmx", "unknown key", "fmax"),
        (("steps.h5", "a/steps.h5"), 14, "steps.2.with.trajectory", "without folders", ""),
        (("task: relax", "task: relaks"), 13, "steps.2.task", "one of train", "relax"),
        (("id: relax", "id: fit"), 12, "steps.2.id", "two steps are called 'fit'", ""),
        (("id: relax", "id: Re lax"), 12, "steps.2.id", "small letters", ""),
        (("sub/train.yaml", "sub/trian.yaml"), 6, "steps.0.with.recipe", "no such file", "train.yaml"),
        (("[data.extxyz]", "[dta.extxyz]"), 11, "steps.1.with.inputs.0", "no such file", "data.extxyz"),
    ],
)
def test_mistakes_in_steps(
    pipeline: Callable[[str], Path], change: tuple[str, str], line: int, key: str, message: str, hint: str
) -> None:
    errors = mistakes(pipeline(PIPELINE.replace(*change)))
    (error,) = [e for e in errors if e.where.key == key]
    assert error.where.line == line
    assert message in error.message
    assert hint in error.hint
    assert len(errors) == (2 if "modell" in key else 1)


def test_mistakes_in_a_training_recipe_name_its_own_file(pipeline: Callable[..., Path]) -> None:
    train = pipeline(GOOD.replace("data.extxyz", "../data.extxyz") + "sed: 1\n", "sub/train.yaml")
    first, second = mistakes(pipeline(PIPELINE.replace("model.channels=8", "model.chanels=8")))
    assert Path(str(first.where.file)).resolve() == train
    assert (first.where.line, first.where.key) == (6, "sed")
    assert str(second.where.file) == "override 'model.chanels=8'"


def test_a_pipeline_is_not_trained(pipeline: Callable[..., Path]) -> None:
    pipeline(PIPELINE, "other.yaml")
    (error,) = [
        e for e in mistakes(pipeline(PIPELINE.replace("sub/train.yaml", "other.yaml"))) if "not one that" in e.message
    ]
    assert error.where.line == 6


def test_audits_of_a_step_are_named_by_group() -> None:
    from eqcli.audit.groups import ALL, GROUPS
    from eqcli.recipe.steps import EvaluateStep

    step = {"model": "m.safetensors", "data": "d.extxyz"}
    for words in ([ALL], list(GROUPS)):
        assert EvaluateStep.model_validate({**step, "audit": words}).audit == tuple(words)
    assert EvaluateStep.model_validate({**step, "audit": False}).audit is False
    with pytest.raises(ValueError, match="conservation"):
        EvaluateStep.model_validate({**step, "audit": ["conserve"]})
