"""Values that a pipeline states once: `${vars.name}` anywhere in its steps stands for them."""

from __future__ import annotations

import copy
import re

from eqcli.errors import EqcliError, InputError
from eqcli.names import did_you_mean
from eqcli.recipe.tree import KeyPath, Node

VARIABLE = re.compile(r"\$\{vars\.([A-Za-z0-9_-]+)\}")
SECTION = "vars"


def substitute(root: Node, errors: list[EqcliError]) -> None:
    """Puts the values of `vars` into the steps of a pipeline, and into the values that come after them.

    A text that is a variable and nothing else becomes the value as it was written, a section included, so that
    file names stay relative to where the value stands; within a longer text the value is written out.
    """
    stated = root.child(SECTION)
    values: dict[str, Node] = {}
    for name, value in stated.children() if stated is not None and isinstance(stated.value, dict) else []:
        _replace(value, (SECTION, name), values, errors)
        values[str(name)] = value
    steps = root.child("steps")
    if steps is not None:
        _replace(steps, ("steps",), values, errors)


def _replace(node: Node, path: KeyPath, values: dict[str, Node], errors: list[EqcliError]) -> None:
    for key, below in node.children():
        _replace(below, (*path, key), values, errors)
    if not isinstance(node.value, str) or "${vars." not in node.value:
        return
    names = VARIABLE.findall(node.value)
    unknown = [name for name in names if name not in values]
    if unknown or not names:
        message = f"there is no variable '{unknown[0]}'" if unknown else f"'{node.value}' is no reference to a variable"
        hint = did_you_mean(unknown[0], values, "variables") if unknown else "Write ${vars.name}."
        errors.append(InputError(message, node.place.where(path), hint or "State it under `vars`."))
        node.value = ""
    elif VARIABLE.fullmatch(node.value):
        found = copy.deepcopy(values[names[0]])
        node.value, node.place = found.value, found.place
    else:
        node.value = VARIABLE.sub(lambda match: _text(values[match[1]]), node.value)


def _text(node: Node) -> str:
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
