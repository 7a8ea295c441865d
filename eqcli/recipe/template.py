"""Commented recipes to start from, and the JSON Schema for editors: both made from the schema's descriptions."""

from __future__ import annotations

from textwrap import wrap
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.fields import Model, aliases, annotation_of, describe, fields, models
from eqcli.recipe.schema import PipelineRecipe, TrainRecipe
from eqcli.recipe.steps import ARGUMENTS, outputs
from eqcli.recipe.training import TRAININGS
from eqcli.recipe.yaml12 import dump_scalar

Kind = Literal["train", "dynamics", "generators", "molecules", "docking", "pointcloud", "pipeline", "cluster"]
WIDTH = 110
BOUND_WORDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def template(kind: Kind = "train") -> str:
    """A commented recipe with every key; keys that are off by default are commented out."""
    if kind == "pipeline":
        return _pipeline_template()
    does, model = "Train a model: eqcli train FILE", TRAININGS.get(kind, TrainRecipe)
    if kind == "cluster":
        does, model = "A cluster: eqcli submit RECIPE --cluster FILE", ClusterRecipe
    head = f"# {does}\n# Every key that has a default may be left out.\n\n"
    return head + "\n".join(_section(model, "")) + "\n"


def _section(model: Model, indent: str) -> list[str]:
    lines: list[str] = []
    for key, info in fields(model).items():
        annotation = annotation_of(info)
        default = info.get_default(call_default_factory=True)
        section = models(annotation)
        lines += _comment(info, indent, section=bool(section))
        if section and (default is PydanticUndefined or isinstance(default, BaseModel)):
            lines += [f"{indent}{key}:", *_section_body(section[0], default, indent + "  ")]
        elif section:
            off = [f"{indent}{key}:", *_section(section[0], indent + "  ")]
            lines += [f"{indent}# {line.removeprefix(indent)}" for line in off if "# " not in line]
        elif default is None:
            lines.append(f"{indent}# {key}: {_example(info)}")
        else:
            lines.append(f"{indent}{key}: {dump_scalar(_plain(_value(info, default)))}")
    return lines


def _section_body(model: Model, default: Any, indent: str) -> list[str]:
    """A section's keys with the values of its default, where those differ from the section's own."""
    lines = _section(model, indent)
    for key, value in default.model_dump(exclude_unset=True).items() if isinstance(default, BaseModel) else ():
        start = f"{indent}# {key}: "
        lines = [f"{indent}{key}: {dump_scalar(value)}" if line.startswith(start) else line for line in lines]
    return lines


def _comment(info: FieldInfo, indent: str, *, section: bool) -> list[str]:
    text = info.description or ""
    if not section and (facts := _facts(info)):
        text = f"{text} ({facts})" if text else facts
    return [f"{indent}# {line}" for line in wrap(text, WIDTH - len(indent))]


def _facts(info: FieldInfo) -> str:
    """Type and bounds in a few words."""
    bounds = [
        f"{words} {getattr(mark, name):g}"
        for mark in info.metadata
        for name, words in BOUND_WORDS.items()
        if getattr(mark, name, None) is not None
    ]
    return ", ".join([describe(annotation_of(info)).removesuffix(" or null"), *bounds])


def _value(info: FieldInfo, default: Any) -> Any:
    if default is PydanticUndefined:
        return info.examples[0] if info.examples else "..."
    return default


def _example(info: FieldInfo) -> str:
    return dump_scalar(info.examples[0]) if info.examples else "null"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _pipeline_template() -> str:
    lines = [
        "# A pipeline: eqcli run FILE",
        "# Steps run in order, each in a folder of its name; a second run redoes only what changed.",
        "# `${step.output}` stands for what an earlier step made:",
    ]
    for task, model in ARGUMENTS.items():
        names = outputs(task, model.model_construct(None, **{"output": "file", "trajectory": "file"}))
        lines.append(f"#   {task}: {', '.join(names)}")
    lines += ["", "eqcli: 1", "task: pipeline", "name: my-pipeline", "steps:"]
    examples: dict[str, dict[str, str]] = {
        "train": {"recipe": "train.yaml"},
        "predict": {"model": "${fit.model}", "inputs": "test.extxyz"},
        "evaluate": {"model": "${fit.model}", "data": "test.extxyz"},
    }
    for task, values in examples.items():
        name = "fit" if task == "train" else task
        lines += [f"  - id: {name}", f"    task: {task}", "    with:"]
        for key, info in fields(ARGUMENTS[task]).items():
            lines += _comment(info, "      ", section=bool(models(annotation_of(info))))
            shown = dump_scalar(values[key]) if key in values else None
            default = _plain(info.get_default(call_default_factory=True))
            text = shown or dump_scalar({} if isinstance(default, BaseModel) else default)
            lines.append(f"      {'' if shown else '# '}{key}: {text}")
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of recipes, for editors that complete and check YAML."""
    kinds: tuple[Model, ...] = (*TRAININGS.values(), PipelineRecipe, ClusterRecipe)
    recipes = [model.model_json_schema(by_alias=True) for model in kinds]
    definitions: dict[str, Any] = {}
    for recipe in recipes:
        definitions |= recipe.pop("$defs", {})
    cases = []
    for task, model in ARGUMENTS.items():
        arguments = model.model_json_schema(by_alias=True)
        definitions |= arguments.pop("$defs", {})
        definitions[model.__name__] = arguments
        condition = {"properties": {"task": {"const": task}}}
        cases.append({"if": condition, "then": {"properties": {"with": {"$ref": f"#/$defs/{model.__name__}"}}}})
    definitions["Step"]["allOf"] = cases
    include = {"description": "Recipes whose keys stand below those of this file.", "type": ["string", "array"]}
    for recipe in recipes:
        recipe["properties"]["include"] = include
        definitions[recipe["title"]] = recipe
    training: dict[str, Any] = {"$ref": "#/$defs/TrainRecipe"}
    for family, recipe_model in TRAININGS.items():
        _accept_aliases(recipe_model, definitions)
        if recipe_model is not TrainRecipe:
            named = {"properties": {"family": {"const": family}}, "required": ["family"]}
            training = {"if": named, "then": {"$ref": f"#/$defs/{recipe_model.__name__}"}, "else": training}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "eqcli recipe",
        "if": {"properties": {"task": {"const": "pipeline"}}, "required": ["task"]},
        "then": {"$ref": "#/$defs/PipelineRecipe"},
        "else": {
            "if": {"properties": {"task": {"const": "cluster"}}, "required": ["task"]},
            "then": {"$ref": "#/$defs/ClusterRecipe"},
            "else": training,
        },
        "$defs": definitions,
    }


def _accept_aliases(model: Model, definitions: dict[str, Any]) -> None:
    for alias, name in aliases(model).items():
        properties = definitions[model.__name__]["properties"]
        properties[alias] = {**properties[name], "deprecated": True}
    for info in model.model_fields.values():
        for below in models(annotation_of(info)):
            _accept_aliases(below, definitions)
