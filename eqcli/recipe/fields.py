"""Looking things up in the recipe schema: which keys a section has and what may stand under each."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from eqcli.recipe.schema import IsFile
from eqcli.recipe.tree import Node

Model = type[BaseModel]

PLAIN: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    Any: "anything",
}
PLURAL: dict[Any, str] = {str: "texts", int: "whole numbers", float: "numbers"}


def fields(model: Model) -> dict[str, FieldInfo]:
    """The fields of a section by the name that a recipe uses."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def aliases(model: Model) -> dict[str, str]:
    """Other accepted names of the fields, each with the name that stands for it."""
    found: dict[str, str] = {}
    for name, info in model.model_fields.items():
        if isinstance(info.validation_alias, AliasChoices):
            found |= {str(choice): name for choice in info.validation_alias.choices if choice != name}
    return found


def parts(annotation: Any) -> list[Any]:
    """The alternatives of a type, without `Annotated` around them; the file mark turns into `IsFile` itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return [IsFile] if any(isinstance(mark, IsFile) for mark in marks) else parts(inner)
    if origin in (Union, UnionType):
        return [part for choice in get_args(annotation) for part in parts(choice)]
    return [annotation]


def annotation_of(info: FieldInfo) -> Any:
    """The full type of a field: pydantic keeps what `Annotated` added apart from it."""
    marks = [mark for mark in info.metadata if isinstance(mark, IsFile)]
    return Annotated[info.annotation, marks[0]] if marks else info.annotation


def takes_folders(annotation: Any) -> bool:
    """Whether the files of a field may be folders."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return any(isinstance(mark, IsFile) and mark.folder for mark in marks) or takes_folders(inner)
    return any(takes_folders(argument) for argument in get_args(annotation))


def models(annotation: Any) -> list[Model]:
    """The sections among the alternatives of a type."""
    return [part for part in parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def literals(annotation: Any) -> list[str]:
    """The words that a type allows."""
    return [str(word) for part in parts(annotation) if get_origin(part) is Literal for word in get_args(part)]


def choose(candidates: list[Model], node: Node | None) -> Model | None:
    """Of several kinds of section, the one that the node's `name` tells; the only one, or None when it cannot tell."""
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    name = node.text("name") if node is not None else ""
    for model in candidates:
        if "name" in model.model_fields and name in literals(model.model_fields["name"].annotation):
            return model
    return None


def section_under(model: Model | None, key: str, node: Node | None) -> Model | None:
    """The section that stands under `key` of `model`, when one does."""
    info = fields(model).get(key) if model is not None else None
    return choose(models(annotation_of(info)), node) if info is not None else None


def shared_aliases(model: Model | None, key: str) -> dict[str, str]:
    """Other names in the section under `key` that mean the same whichever of several kinds it is."""
    info = fields(model).get(key) if model is not None else None
    found: dict[str, set[str]] = {}
    for candidate in models(annotation_of(info)) if info is not None else []:
        for other, name in aliases(candidate).items():
            found.setdefault(other, set()).add(name)
    return {other: next(iter(names)) for other, names in found.items() if len(names) == 1}


def describe(annotation: Any) -> str:
    """What may stand here, in plain words: `a whole number or null`."""
    words: list[str] = []
    if choices := literals(annotation):
        words.append(f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0])
    for part in parts(annotation):
        if get_origin(part) is Literal:
            continue
        words.append(_describe_one(part))
    return " or ".join(dict.fromkeys(words))


def _describe_one(part: Any) -> str:
    if part is IsFile:
        return "a file name"
    origin, arguments = get_origin(part), get_args(part)
    if origin is tuple or origin is list:
        inner = parts(arguments[0])[0]
        return "a list of " + ("file names" if inner is IsFile else PLURAL.get(inner, "entries"))
    if origin is dict:
        return f"a section of names with {PLAIN.get(arguments[1], 'a value')} each"
    if isinstance(part, type) and issubclass(part, BaseModel):
        return "a section"
    return PLAIN.get(part, str(getattr(part, "__name__", part)))


def all_keys(model: Model, prefix: str = "") -> dict[str, list[str]]:
    """Every key of a section and those below, with the dotted paths where each stands."""
    found: dict[str, list[str]] = {}
    for key, info in fields(model).items():
        found.setdefault(key, []).append(prefix + key)
        for below in models(annotation_of(info)):
            for name, paths in all_keys(below, f"{prefix}{key}.").items():
                found.setdefault(name, []).extend(paths)
    return found
