"""`key=value` and `~key`: changes of a recipe from the command line."""

from __future__ import annotations

from pathlib import Path

from eqcli.errors import EqcliError, InputError
from eqcli.names import did_you_mean
from eqcli.recipe.fields import Model, aliases, fields, section_under
from eqcli.recipe.tree import Key, KeyPath, Node, Place, dotted
from eqcli.recipe.yaml12 import parse_yaml


def apply_override(root: Node, text: str, folder: Path, model: Model, errors: list[EqcliError]) -> None:
    """Changes `root` as `text` says; what is wrong with it is added to `errors`.

    A value replaces what stood under its key, sections included. Entries of a
    list are named by their position from 0, and steps also by their `id`.
    """
    place = Place(folder, override=text)
    key, equals, value = text.partition("=")
    remove = text.startswith("~")
    names = key.removeprefix("~").strip().split(".")
    if remove == bool(equals) or not all(names):
        error = InputError("this is not an override", place.where(), "Write key=value, or ~key to remove a key.")
        errors.append(error)
        return
    try:
        new = None if remove else parse_yaml(value, place, errors)
        _set(root, names, new, place, model)
    except EqcliError as error:
        errors.append(error)


def _set(root: Node, names: list[str], new: Node | None, place: Place, model: Model | None) -> None:
    node = root
    path: KeyPath = ()
    for depth, name in enumerate(names):
        key = _key(node, name, path, place, model)
        path = (*path, key)
        if depth == len(names) - 1:
            _put(node, key, new, path, place)
            return
        below = node.child(key)
        if below is None or below.value is None:
            if new is None:
                raise _nothing_to_remove(node, path, place)
            below = Node({}, place)
            _put(node, key, below, path, place)
        if not isinstance(below.value, dict | list):
            raise InputError(f"'{dotted(path)}' is a value and has no keys below it", place.where(path))
        model = section_under(model, str(key), below) if isinstance(key, str) else None
        node = below


def _key(node: Node, name: str, path: KeyPath, place: Place, model: Model | None) -> Key:
    """The key that a word of an override stands for, its proper name where it is an alias."""
    if not isinstance(node.value, list):
        return aliases(model).get(name, name) if model is not None and name not in fields(model) else name
    for position, item in node.children():
        if item.text("id") == name or str(position) == name:
            return position
    ids = [text for _, item in node.children() if (text := item.text("id"))]
    hint = did_you_mean(name, ids, "steps") if ids else f"The list has entries 0 to {len(node.value) - 1}."
    raise InputError(f"'{dotted(path)}' is a list and has no entry '{name}'", place.where((*path, name)), hint)


def _put(node: Node, key: Key, new: Node | None, path: KeyPath, place: Place) -> None:
    if new is None:
        if node.child(key) is None:
            raise _nothing_to_remove(node, path, place)
        del node.value[key]  # type: ignore[union-attr, arg-type]
    elif isinstance(node.value, list | dict):
        node.value[key] = new  # type: ignore[index]


def _nothing_to_remove(node: Node, path: KeyPath, place: Place) -> InputError:
    present = [str(key) for key, _ in node.children()]
    return InputError(
        f"the recipe does not set '{dotted(path)}', so it cannot be removed",
        place.where(path),
        did_you_mean(str(path[-1]), present, "keys here"),
    )
