"""One tree from a recipe file, what it includes, and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from eqcli.errors import EqcliError, InputError
from eqcli.files import require_file
from eqcli.names import did_you_mean
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.fields import Model, aliases, section_under, shared_aliases
from eqcli.recipe.overrides import apply_override
from eqcli.recipe.schema import PipelineRecipe
from eqcli.recipe.training import TRAININGS
from eqcli.recipe.tree import KeyPath, Node, Place, merged
from eqcli.recipe.yaml12 import read_yaml

RECIPES: dict[str, Model] = {"train": TRAININGS["potentials"], "pipeline": PipelineRecipe, "cluster": ClusterRecipe}
"""What a recipe can do, by its `task`; what is trained is told by its `family`."""


def assemble(
    path: Path, overrides: Sequence[str], errors: list[EqcliError], *, folder: Path | None = None
) -> tuple[Node, Model]:
    """The tree of a recipe with includes and overrides applied, and the schema it must follow.

    Relative names in overrides belong to `folder`, by default the current one.
    Raises where there is nothing to go on with; other mistakes are added to `errors`.
    """
    root = _with_includes(path, (), errors)
    model = _model(root)
    apply_overrides(root, overrides, folder, model, errors)
    return root, _model(root, errors)


def apply_overrides(
    root: Node, overrides: Sequence[str], folder: Path | None, model: Model, errors: list[EqcliError]
) -> None:
    """Applies overrides in order."""
    for text in overrides:
        apply_override(root, text, folder or Path.cwd(), model, errors)


def rename_aliases(
    node: Node, model: Model | None, path: KeyPath, errors: list[EqcliError], shared: Mapping[str, str] | None = None
) -> None:
    """Gives every key of a section, and of those below it, its proper name.

    `shared` are the aliases of a section that does not say of which kind it is: an include may, or an override.
    """
    if (model is None and not shared) or not isinstance(node.value, dict):
        return
    proper = aliases(model) if model is not None else dict(shared or {})
    renamed: dict[str, Node] = {}
    for key, below in node.value.items():
        name = proper.get(key, key)
        if name in renamed:
            other = next(k for k in node.value if proper.get(k, k) == name)
            message = f"'{other}' and '{key}' are two names of one thing"
            errors.append(InputError(message, below.place.where((*path, key)), "Keep one of them."))
            continue
        renamed[name] = below
        section = section_under(model, name, below)
        rename_aliases(below, section, (*path, name), errors, None if section else shared_aliases(model, name))
    node.value = renamed


def _with_includes(path: Path, chain: tuple[Path, ...], errors: list[EqcliError]) -> Node:
    root = read_yaml(require_file(path), errors)
    if root.value is None:
        raise InputError(
            "this recipe is empty", root.place.where(), "`eqcli recipe new` writes a commented one to start from."
        )
    if not isinstance(root.value, dict):
        raise InputError("a recipe is a section of keys and values", root.place.where(), "Write 'key: value' lines.")
    include = root.value.pop("include", None)
    rename_aliases(root, _model(root), (), errors)
    if include is None:
        return root
    below: Node | None = None
    for name in include.value if isinstance(include.value, list) else [include]:
        part = _included(name, (*chain, path.resolve()), errors)
        if part is not None:
            below = part if below is None else merged(below, part)
    return root if below is None else merged(below, root)


def _included(name: Node, chain: tuple[Path, ...], errors: list[EqcliError]) -> Node | None:
    where = name.place.where(("include",))
    if not isinstance(name.value, str):
        errors.append(InputError("expected a file name or a list of file names", where))
        return None
    path = _shorter(name.place.folder / name.value, name.place)
    try:
        resolved, found = path.resolve(), path.is_file()
    except (OSError, RuntimeError, ValueError):  # Too long, links in a circle, a null character.
        errors.append(InputError(f"{name.value!r} cannot be the name of a file to include", where))
        return None
    if resolved in chain:
        circle = " -> ".join(p.name for p in (*chain[chain.index(resolved) :], path))
        errors.append(InputError(f"files include each other in a circle: {circle}", where, "Leave this include out."))
        return None
    if not found:
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near) if len(near) < 20 or path.suffix else ""
        errors.append(InputError(f"there is no file '{name.value}' to include", where, hint))
        return None
    return _with_includes(path, chain, errors)


def _shorter(path: Path, place: Place) -> Path:
    """`path` as the including file is named: relative when that is."""
    if place.file is not None and not place.file.is_absolute():
        return place.file.parent / path.relative_to(place.folder)
    return path


def _model(root: Node, errors: list[EqcliError] | None = None) -> Model:
    task = root.child("task")
    if task is None and root.child("scheduler") is not None:
        return RECIPES["cluster"]
    if task is None or task.value == "train":
        return training_model(root, errors)
    if isinstance(task.value, str) and task.value in RECIPES:
        return RECIPES[task.value]
    if errors is not None:
        message = f"expected one of {', '.join(RECIPES)}; found '{task.value}'"
        errors.append(InputError(message, task.place.where(("task",)), did_you_mean(str(task.value), RECIPES, "tasks")))
        task.value = "pipeline" if root.child("steps") is not None else "train"
    return RECIPES["pipeline" if root.child("steps") is not None else "train"]


def training_model(root: Node, errors: list[EqcliError] | None = None) -> Model:
    """The schema of a training recipe by its family."""
    family = root.child("family")
    if family is None:
        return TRAININGS["potentials"]
    if isinstance(family.value, str) and family.value in TRAININGS:
        return TRAININGS[family.value]
    if errors is not None:
        message = f"expected one of {', '.join(TRAININGS)}; found '{family.value}'"
        hint = did_you_mean(str(family.value), TRAININGS, "families")
        errors.append(InputError(message, family.place.where(("family",)), hint))
        family.value = "potentials"
    return TRAININGS["potentials"]
