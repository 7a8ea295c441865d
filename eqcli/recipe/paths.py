"""File names in recipes: relative to the file that states them, made absolute, and checked to exist."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo

from eqcli.engine.guest_name import GuestName, is_guest, version_facts
from eqcli.errors import EqcliError, InputError
from eqcli.files import require_file
from eqcli.names import did_you_mean
from eqcli.recipe.fields import Model, annotation_of, fields, parts, section_under, takes_folders
from eqcli.recipe.schema import IsFile
from eqcli.recipe.step_fields import IsModel
from eqcli.recipe.tree import KeyPath, Node
from eqcli.tasks.pipeline_state import REFERENCE


@dataclass
class Scope:
    """What references of a step may name: the outputs of each earlier step, and the steps that come later."""

    earlier: Mapping[str, Mapping[str, str]]
    later: tuple[str, ...] = ()


def resolve_paths(
    node: Node, model: Model | None, errors: list[EqcliError], *, prefix: KeyPath = (), scope: Scope | None = None
) -> None:
    """Makes every file name of a section absolute; files that do not exist are added to `errors`.

    With a `scope`, `${step.output}` may stand for a file.
    """
    if model is None or not isinstance(node.value, dict):
        return
    for key, below in node.value.items():
        info = fields(model).get(key)
        if info is None:
            continue
        path = (*prefix, key)
        if names_guest(info, below):
            _check_guest(below, path, errors)
        elif takes_files(annotation_of(info)):
            folders = takes_folders(annotation_of(info))
            for position, item in below.children() if isinstance(below.value, list) else []:
                _resolve(item, (*path, position), errors, scope, folders)
            _resolve(below, path, errors, scope, folders)
        else:
            _refuse_reference(below, path, errors, scope)
        resolve_paths(below, section_under(model, key, below), errors, prefix=path, scope=scope)


def names_guest(info: FieldInfo, node: Node) -> bool:
    """Whether a field that takes a model names the calculator of another package."""
    return any(isinstance(mark, IsModel) for mark in info.metadata) and is_guest(str(node.value))


def _check_guest(node: Node, path: KeyPath, errors: list[EqcliError]) -> None:
    try:
        version_facts(GuestName.parse(str(node.value)))
    except InputError as error:
        errors.append(InputError(f"{error.message}: {node.value}", node.place.where(path), error.hint))


def takes_files(annotation: object) -> bool:
    """Whether a field names files."""
    for part in parts(annotation):
        if part is IsFile or any(inner is IsFile for argument in get_args(part) for inner in parts(argument)):
            return True
    return False


def _resolve(node: Node, path: KeyPath, errors: list[EqcliError], scope: Scope | None, folders: bool) -> None:
    if not isinstance(node.value, str):
        return
    if scope is not None and "${" in node.value:
        _check_reference(node, path, errors, scope)
        return
    target = os.path.normpath(node.place.folder / node.value)
    try:
        if not (folders and Path(target).is_dir()):
            require_file(target)
    except InputError as error:
        message = f"{error.message}: {node.value}" if error.message == "no such file" else error.message
        errors.append(InputError(message, node.place.where(path), error.hint))
    node.value = target


def _check_reference(node: Node, path: KeyPath, errors: list[EqcliError], scope: Scope) -> None:
    text, where = str(node.value), node.place.where(path)
    match = REFERENCE.fullmatch(text)
    step, output = match.groups() if match else ("", "")
    if not match:
        hint = "Write ${step.output} and nothing beside it."
        errors.append(InputError(f"'{text}' is not a reference to what a step made", where, hint))
    elif step in scope.later:
        message = f"step '{step}' does not come before this one"
        errors.append(InputError(message, where, "Steps run in the order in which they are written."))
    elif step not in scope.earlier:
        hint = did_you_mean(step, scope.earlier, "steps") or "This is the first step."
        errors.append(InputError(f"there is no earlier step '{step}'", where, hint))
    elif output not in scope.earlier[step]:
        hint = did_you_mean(output, scope.earlier[step], "outputs")
        errors.append(InputError(f"step '{step}' makes no '{output}'", where, hint))


def _refuse_reference(node: Node, path: KeyPath, errors: list[EqcliError], scope: Scope | None) -> None:
    if scope is not None and isinstance(node.value, str) and REFERENCE.search(node.value):
        errors.append(InputError("a reference can stand only for a file", node.place.where(path)))
