"""`eqcli recipe show|check|schema|new`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import session

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.recipe.training import TrainingRecipe

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at, check and start recipes.",
    epilog=examples("eqcli recipe new train -o recipe.yaml", "eqcli recipe check recipe.yaml"),
)


class Kind(StrEnum):
    """Kinds of recipe."""

    train = "train"
    dynamics = "dynamics"
    generators = "generators"
    molecules = "molecules"
    docking = "docking"
    pointcloud = "pointcloud"
    pipeline = "pipeline"
    cluster = "cluster"


NewFile = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; by default standard output.")]


@app.command(epilog=examples("eqcli recipe show recipe.yaml model.channels=64"))
def show(
    recipe: options.RecipeFile,
    overrides: options.Overrides = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """The whole recipe with includes, overrides and every default."""
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.recipe.load import load_recipe, resolved_yaml

        loaded = load_recipe(recipe, overrides or [])
        console.product(resolved_yaml(loaded) if not json else "")
        console.document(loaded.model_dump(mode="json", by_alias=True))


@app.command(epilog=examples("eqcli recipe check recipe.yaml", "eqcli recipe check recipe.yaml --no-data"))
def check(
    recipe: options.RecipeFile,
    overrides: options.Overrides = None,
    data: Annotated[bool, typer.Option(help="Open the data too: labels, units, elements, sizes, memory.")] = True,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Check a recipe: first what is written, then the data that it names."""
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.recipe.load import load_recipe
        from eqcli.recipe.steps import train_recipes

        loaded = load_recipe(recipe, overrides or [])
        console.say(f"{recipe}: what is written is right")
        reports = {name: _check_data(part, console) for name, part in train_recipes(loaded).items()} if data else {}
        console.document({"recipe": str(recipe), "valid": True, "data": reports})


def _check_data(recipe: TrainingRecipe, console: Console) -> dict[str, Any]:
    from eqcli.tasks.check import check_data

    report = check_data(recipe, report=console.report)
    console.facts(report.facts)
    for text in report.warnings:
        console.report.warning(text)
    return report.as_dict()


@app.command(epilog=examples("eqcli recipe schema -o recipe.schema.json"))
def schema(output: NewFile = None, overwrite: options.Overwrite = False) -> None:
    """JSON Schema of recipes, for editors that complete and check YAML."""
    with session() as console:
        from json import dumps

        from eqcli.recipe.template import json_schema

        _give(dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", output, overwrite, console.product)


@app.command(epilog=examples("eqcli recipe new train -o recipe.yaml", "eqcli recipe new pipeline > pipeline.yaml"))
def new(
    kind: Annotated[Kind, typer.Argument(help="What the recipe is for.")] = Kind.train,
    output: NewFile = None,
    overwrite: options.Overwrite = False,
) -> None:
    """A commented recipe to start from, with every key."""
    with session() as console:
        from eqcli.recipe.template import template

        _give(template(kind.value), output, overwrite, console.product)


def _give(text: str, output: Path | None, overwrite: bool, show: Callable[[str], None]) -> None:
    if output is None:
        show(text)
        return
    from eqcli.files import atomic_path, refuse_existing

    refuse_existing(output, overwrite)
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
