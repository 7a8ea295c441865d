"""From a recipe file to a validated recipe, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from eqcli.errors import EqcliError, ErrorGroup, InputError, Where
from eqcli.recipe.assemble import apply_overrides, assemble, rename_aliases, training_model
from eqcli.recipe.base_model import lay_below
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.fields import Model
from eqcli.recipe.messages import explain, validate
from eqcli.recipe.paths import Scope, resolve_paths
from eqcli.recipe.schema import PipelineRecipe
from eqcli.recipe.steps import ARGUMENTS, TrainStep, outputs
from eqcli.recipe.training import TRAININGS, TrainingRecipe
from eqcli.recipe.tree import KeyPath, Node, merged, planted
from eqcli.recipe.variables import substitute
from eqcli.recipe.yaml12 import dump_yaml

Recipe = TrainingRecipe | PipelineRecipe | ClusterRecipe


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, files_must_exist: bool = True) -> Recipe:
    """The recipe in a file, with `key=value` overrides applied.

    All file names in it are absolute and exist (the data of a training may be gone
    where it is not asked for); training recipes that a pipeline names are read too
    and stand in its steps. Raises ErrorGroup with one InputError per mistake.
    """
    errors: list[EqcliError] = []
    try:
        root, model = assemble(Path(path), overrides, errors)
    except ErrorGroup:
        raise
    except EqcliError as error:
        raise ErrorGroup([*errors, error]) from error
    if model is PipelineRecipe:
        substitute(root, errors)
        _resolve_steps(root, errors)
    else:
        root = lay_below(root, errors)
        absent: list[EqcliError] = []
        resolve_paths(root, model, absent)
        errors.extend(absent if files_must_exist else [])
    recipe = _validated(root, model, errors)
    if errors or recipe is None:
        raise ErrorGroup(_ordered(errors))
    assert isinstance(recipe, Recipe)
    return recipe


def load_train_recipe(
    path: str | Path, overrides: Sequence[str] = (), *, files_must_exist: bool = True
) -> TrainingRecipe:
    """As :func:`load_recipe`, for a recipe that trains a model. Raises InputError for any other."""
    recipe = load_recipe(path, overrides, files_must_exist=files_must_exist)
    if isinstance(recipe, TrainingRecipe):
        return recipe
    if isinstance(recipe, ClusterRecipe):
        raise InputError("this recipe describes a cluster", Where(path, key="task"), f"Use it with `--cluster {path}`.")
    raise InputError("this recipe is a pipeline", Where(path, key="task"), f"Run it with `eqcli run {path}`.")


def load_pipeline(path: str | Path, overrides: Sequence[str] = ()) -> PipelineRecipe:
    """As :func:`load_recipe`, for a pipeline. Raises InputError for any other."""
    recipe = load_recipe(path, overrides)
    if isinstance(recipe, PipelineRecipe):
        return recipe
    if isinstance(recipe, ClusterRecipe):
        raise InputError("this recipe describes a cluster", Where(path, key="task"), f"Use it with `--cluster {path}`.")
    raise InputError("this recipe is not a pipeline", Where(path, key="task"), f"Run it with `eqcli train {path}`.")


def load_cluster(path: str | Path, overrides: Sequence[str] = ()) -> ClusterRecipe:
    """As :func:`load_recipe`, for the file of a cluster. Raises InputError for any other."""
    recipe = load_recipe(path, overrides)
    if isinstance(recipe, ClusterRecipe):
        return recipe
    hint = "`eqcli recipe new cluster` writes one to start from."
    raise InputError("this recipe describes no cluster", Where(path, key="task"), hint)


def resolved_yaml(recipe: BaseModel) -> str:
    """The whole recipe with every default, as YAML that loads to the same recipe."""
    return dump_yaml(recipe.model_dump(mode="json", by_alias=True))


def _validated(root: Node, model: Model, errors: list[EqcliError], prefix: KeyPath = ()) -> BaseModel | None:
    try:
        return validate(root, model)
    except ValidationError as error:
        errors.extend(explain(error, root, model, prefix))
        return None


def _resolve_steps(root: Node, errors: list[EqcliError]) -> None:
    """Checks each step against its task and earlier steps, and fills in its arguments."""
    steps = root.child("steps")
    items = [node for _, node in steps.children()] if steps is not None and isinstance(steps.value, list) else []
    names = [item.text("id") for item in items]
    earlier: dict[str, dict[str, str]] = {}
    for position, item in enumerate(items):
        name, task, path = names[position], item.text("task"), ("steps", position)
        if name in earlier:
            where = item.place.where((*path, "id"))
            errors.append(InputError(f"two steps are called '{name}'", where, "Give each step an id of its own."))
        model = ARGUMENTS.get(task)
        if model is not None and isinstance(item.value, dict):
            arguments = item.value.setdefault("with", Node({}, item.place))
            scope = Scope(earlier, tuple(later for later in names[position:] if later not in earlier))
            made = _resolve_step(arguments, model, (*path, "with"), scope, errors)
            earlier[name] = outputs(task, made if made is not None else model.model_construct())


def _resolve_step(node: Node, model: Model, path: KeyPath, scope: Scope, errors: list[EqcliError]) -> Any:
    rename_aliases(node, model, path, errors)
    count = len(errors)
    recipe: BaseModel | None = None
    if model is TrainStep:
        recipe = _train_recipe(node, path, scope, errors)
    resolve_paths(node, model, errors, prefix=path, scope=scope)
    arguments = _validated(node, model, errors, path) if isinstance(node.value, dict) else None
    if arguments is None or len(errors) > count:
        return arguments
    filled = arguments.model_dump(mode="json", by_alias=True)
    if recipe is not None:
        filled["recipe"] = recipe.model_dump(mode="json", by_alias=True)
        filled |= {"overrides": [], "changes": {}}
    node.value = planted(filled, node.place).value
    return arguments


def _train_recipe(node: Node, path: KeyPath, scope: Scope, errors: list[EqcliError]) -> BaseModel | None:
    """The training recipe of a step, from its file or from the step itself; its node then stands in the step."""
    given, overrides = node.child("recipe"), node.child("overrides")
    if given is None or not isinstance(node.value, dict):
        return None
    prefix: KeyPath = ()
    if isinstance(given.value, dict):
        prefix = (*path, "recipe")
        root, model = given, training_model(given, errors)
        rename_aliases(given, model, prefix, errors)
    elif isinstance(given.value, str) and "${" not in given.value:
        file = given.place.folder / given.value
        if not file.is_file():
            return None  # reported with the other file names of the step
        try:
            root, model = assemble(_as_written(file), (), errors)
        except EqcliError as error:
            errors.append(error)
            return None
    else:
        return None
    root = _changed(root, node.child("changes"), model, (*path, "changes"), errors)
    texts = [str(item.value) for _, item in overrides.children()] if overrides is not None else []
    apply_overrides(root, texts, (overrides or node).place.folder, model, errors)
    root = lay_below(root, errors)
    if model not in TRAININGS.values():
        errors.append(InputError("this recipe is not one that trains a model", given.place.where((*path, "recipe"))))
        return None
    resolve_paths(root, model, errors, prefix=prefix, scope=scope)
    node.value["recipe"] = root if prefix else Node(given.value, given.place)
    return _validated(root, model, errors, prefix)


def _changed(root: Node, changes: Node | None, model: Model, path: KeyPath, errors: list[EqcliError]) -> Node:
    """The recipe with the sections that a step states laid over its own."""
    if changes is None or not isinstance(changes.value, dict):
        return root
    rename_aliases(changes, model, path, errors)
    return merged(root, changes)


def _as_written(file: Path) -> Path:
    """A shorter name for messages: relative to the current folder where the file is below it."""
    try:
        return file.resolve().relative_to(Path.cwd().resolve())
    except ValueError:
        return file


def _ordered(errors: list[EqcliError]) -> list[EqcliError]:
    """Errors by file and line, the first one of each place."""
    unique: dict[str, EqcliError] = {}
    for error in errors:
        for single in error.errors if isinstance(error, ErrorGroup) else [error]:
            unique.setdefault(str(single.where), single)
    return sorted(unique.values(), key=lambda e: (str(e.where.file), e.where.line or 0))
