"""The model that a training starts from: its hyper-parameters stand below those of the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eqcli.errors import EqcliError, InputError, Where
from eqcli.recipe.tree import KeyPath, Node, merged, planted

SECTION = ("fine_tune", "model")
HEADER = "eqcli-model"


def lay_below(root: Node, errors: list[EqcliError]) -> Node:
    """A training recipe with the hyper-parameters of the model file under `fine_tune.model` below its own."""
    named = root.at(SECTION)
    if named is None or not isinstance(named.value, str) or "${" in named.value:
        return root
    path = named.place.folder / named.value
    if not path.is_file():
        return root  # reported with the other file names
    try:
        config = stored_config(path)
    except InputError as error:
        errors.append(InputError(error.message, named.place.where(SECTION), error.hint))
        return root
    stated = root.child("model")
    other = stated.text("name", str(config.get("name"))) if stated is not None else config.get("name")
    if other != config.get("name"):
        errors.append(_another(other, config, stated, ("model", "name")))
        return root
    below = planted({"model": config}, named.place)
    return merged(below, root)


def stored_config(path: Path) -> dict[str, Any]:
    """The hyper-parameters in a model file, read without the tensors. Raises InputError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        config = json.loads(metadata[HEADER])["config"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path.name} is no model file of eqcli", Where(path), "Give the model.safetensors of a training run."
        ) from error
    if not isinstance(config, dict):
        raise InputError(f"the header of {path.name} is damaged", Where(path))
    return config


def _another(name: object, config: dict[str, Any], stated: Node | None, path: KeyPath) -> InputError:
    where = (stated.child("name") or stated).place.where(path) if stated is not None else Where()
    return InputError(
        f"the recipe is for '{name}', and the model to start from is '{config.get('name')}'",
        where,
        "Leave `model` out: the hyper-parameters are those of the model file.",
    )
