"""Mistakes that the schema finds, told in plain words with their place in the recipe."""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from eqcli.errors import EqcliError, InputError
from eqcli.names import nearest
from eqcli.recipe.fields import (
    Model,
    aliases,
    all_keys,
    annotation_of,
    describe,
    fields,
    literals,
    models,
    section_under,
)
from eqcli.recipe.tree import Key, KeyPath, Node, Place
from eqcli.recipe.yaml12 import dump_scalar

BOUNDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}

ENTRIES = {
    "literal_error": "another word",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
}
"""What an entry of a list or of a free section must be, where pydantic says no more."""


def explain(error: ValidationError, root: Node, model: Model, prefix: KeyPath = ()) -> list[EqcliError]:
    """One error per place that the schema objects to; `prefix` is put before the keys that they name.

    A section whose `name` is misspelt is checked again under the nearest name, so
    that its other mistakes are found in the same pass (the tree is changed for that).
    """
    misnamed = [detail for detail in error.errors(include_url=False) if detail["type"].startswith("union_tag")]
    if misnamed:
        told: list[EqcliError] = [_misnamed(detail, root, model, prefix) for detail in misnamed]
        return [*told, *check(root, model, prefix)] if all(e.hint for e in told) else told
    grouped: dict[KeyPath, list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        grouped.setdefault(_place(detail, root), []).append(dict(detail))
    # A section where a word might stand too is judged by its entries alone.
    for path in [path for path, (detail, *more) in grouped.items() if detail["type"] == "literal_error" and not more]:
        if any(other[:-1] == path for other in grouped):
            del grouped[path]
    return [_explain_one(path, details, root, model, prefix) for path, details in grouped.items()]


def check(root: Node, model: Model, prefix: KeyPath = ()) -> list[EqcliError]:
    """What the schema objects to in a tree."""
    try:
        validate(root, model)
    except ValidationError as error:
        return explain(error, root, model, prefix)
    return []


def validate(root: Node, model: Model) -> BaseModel:
    """The tree as a section of the schema.

    JSON in strict mode: a list may stand for a tuple and nothing else is
    converted (`"64"` and `true` are no numbers).
    """
    return model.model_validate_json(json.dumps(root.plain()), strict=True)


def _misnamed(detail: Any, root: Node, model: Model, prefix: KeyPath) -> InputError:
    """The error for a section whose `name` is missing or names no kind of it; the nearest name is put there."""
    section = _place(detail, root)
    key = detail["ctx"]["discriminator"].strip("'")
    node = root.at(section)
    assert node is not None
    _, info = _schema(section, root, model)
    kinds = models(annotation_of(info)) if info is not None else []
    choices = [word for kind in kinds for word in literals(kind.model_fields[key].annotation)]
    value = named.plain() if (named := node.child(key)) is not None else None
    match = nearest(str(value), choices) if value is not None else (choices[0] if len(choices) == 1 else None)
    place = named.place if named is not None else node.place
    if match is not None and isinstance(node.value, dict):
        node.value[key] = Node(match, place)
    expected = f"{'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"
    message = f"this key is required: {expected}" if value is None else f"expected {expected}; found {found(value)}"
    hint = "" if match is None else (f"Did you mean '{match}'?" if value is not None else f"Write {key}: {match}")
    return InputError(message, place.where((*prefix, *section, key)), hint)


def _place(detail: Any, root: Node) -> KeyPath:
    """The keys down to the fault: pydantic's location without the names of the alternatives it tried."""
    path: tuple[Key, ...] = ()
    node = root
    for step in detail["loc"]:
        below = node.child(step)
        if below is not None:
            node, path = below, (*path, step)
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else path


def _explain_one(path: KeyPath, details: list[dict[str, Any]], root: Node, model: Model, prefix: KeyPath) -> InputError:
    section, info = _schema(path, root, model)
    node = root.at(path)
    kind = details[0]["type"]
    place = node.place if node is not None else _nearest_place(root, path)
    where = place.where((*prefix, *path))
    if kind == "missing":
        meaning = f": {info.description}" if info is not None and info.description else ""
        return InputError(f"this key is required{meaning}", where, _present_hint(root, path))
    if kind == "extra_forbidden":
        return InputError("unknown key", where, _unknown_hint(str(path[-1]), section, model, root, path))
    value = node.plain() if node is not None else None
    choices = literals(annotation_of(info)) if info is not None else []
    if choices and isinstance(value, str) and any(d["type"] == "literal_error" for d in details):
        return InputError(f"expected {_expected(info)}; found {found(value)}", where, _choice_hint(value, choices))
    if len(details) == 1 and section is None and kind in ENTRIES:
        expected = details[0].get("ctx", {}).get("expected", ENTRIES[kind])
        return InputError(f"expected {expected}; found {found(value)}", where)
    if len(details) == 1:
        return InputError(_single(details[0], info, value), where)
    return InputError(f"expected {_expected(info)}; found {found(value)}", where)


def _single(detail: dict[str, Any], info: FieldInfo | None, value: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in BOUNDS:
        name, words = BOUNDS[kind]
        return f"{words} {context[name]:g}; found {found(value)}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind == "string_pattern_mismatch":
        extra = info.json_schema_extra if info is not None and isinstance(info.json_schema_extra, dict) else {}
        form = extra.get("form") or (f"text like '{info.default}'" if info is not None and info.default else "")
        return f"expected {form or context.get('pattern')}; found {found(value)}"
    if kind == "too_short":
        return f"needs at least {context.get('min_length')} of them"
    return f"expected {_expected(info)}; found {found(value)}"


def _expected(info: FieldInfo | None) -> str:
    return describe(annotation_of(info)) if info is not None else "something else"


def found(value: Any) -> str:
    """A value of a recipe as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, str):
        return f"'{value}'"
    text = dump_scalar(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _schema(path: KeyPath, root: Node, model: Model) -> tuple[Model | None, FieldInfo | None]:
    """The section that a path leads into, and the field that governs what stands there.

    Below a field that is no section (a list, a free mapping) the field itself goes on governing.
    """
    section: Model | None = model
    info: FieldInfo | None = None
    for depth, key in enumerate(path):
        if section is not None and isinstance(key, str):
            info = fields(section).get(key, info if depth < len(path) - 1 else None)
        if depth < len(path) - 1:
            section = _below(section, info, key, root.at(path[: depth + 1]))
    return section, info


def _below(section: Model | None, info: FieldInfo | None, key: Key, node: Node | None) -> Model | None:
    if isinstance(key, str):
        return section_under(section, key, node)
    item = get_args(annotation_of(info))[:1] if info is not None else ()
    candidates = models(item[0]) if item else []
    return candidates[0] if candidates else None


def _nearest_place(root: Node, path: KeyPath) -> Place:
    node = root
    for key in path:
        below = node.child(key)
        if below is None:
            break
        node = below
    return node.place


def _unknown_hint(name: str, section: Model | None, model: Model, root: Node, path: KeyPath) -> str:
    """The nearest key of this section; the section where a key of exactly this name stands; or the keys there are."""
    if section is None:
        return ""
    valid = [*fields(section), *aliases(section), *(["include"] if len(path) == 1 else [])]
    match = nearest(name, valid)
    elsewhere = all_keys(model).get(name, [])
    if elsewhere and (match is None or len(elsewhere) == 1):
        return f"Did you mean '{elsewhere[0]}'?" if len(elsewhere) == 1 else f"It stands in {', '.join(elsewhere)}."
    return f"Did you mean '{match}'?" if match else f"Keys here: {', '.join(fields(section))}."


def _present_hint(root: Node, path: KeyPath) -> str:
    """What may have been meant by it among the keys that are there."""
    parent = root.at(path[:-1])
    present = [str(key) for key, _ in parent.children()] if parent is not None else []
    match = nearest(str(path[-1]), present)
    return f"Is '{match}' meant to be '{path[-1]}'?" if match else ""


def _choice_hint(value: str, choices: list[str]) -> str:
    match = nearest(value, choices)
    return f"Did you mean '{match}'?" if match else ""
