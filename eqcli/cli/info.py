"""`eqcli info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.origin_words import origin_words
from eqcli.cli.session import session
from eqcli.errors import ExitCode, Failure

RECIPE_ENDINGS = (".yaml", ".yml")
JSON_ONLY = ("failures", "label_figures")
"""Facts that a person gets in another form."""


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model, dataset, structure or recipe file.")],
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """What is in a model, dataset, structure or recipe file."""
    with session(quiet=quiet, as_json=json) as console:
        facts = _facts(file, console.report)
        console.document({"file": str(file), **facts})
        console.facts([("file", str(file)), *rows(shown(facts))])
        failures = [Failure(row["item"], row["reason"]) for row in facts.get("failures", ())]
        console.failures(failures)
        if failures:
            raise typer.Exit(int(ExitCode.PARTIAL))


def _facts(file: Path, report: Any) -> dict[str, Any]:
    if file.suffix.lower() in RECIPE_ENDINGS:
        from eqcli.recipe.describe import describe_recipe
        from eqcli.recipe.load import load_recipe

        return describe_recipe(load_recipe(file))
    from eqcli.tasks.info import info as read

    return read(file, report=report)


def shown(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that a person wants to see; the rest is for `--json`."""
    kept = {name: value for name, value in facts.items() if name not in JSON_ONLY}
    if isinstance(provenance := kept.pop("provenance", None), dict) and provenance:
        kept["provenance"] = origin_words(provenance)
    if facts.get("kind") != "model":
        return kept
    training = facts["training"]
    recipe = training.get("recipe") or {}
    kept["training"] = {
        "recipe": recipe.get("name"),
        "seed": recipe.get("seed"),
        "epoch": training.get("epoch"),
        "data": [row["path"] for row in training.get("data", ()) if isinstance(row, dict) and "path" in row],
    }
    kept["figures"] = training.get("figures") or {}
    return {name: _without_gaps(value) for name, value in kept.items() if value not in (None, {}, [])}


def _without_gaps(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item not in (None, "", [])}
    return value


def rows(facts: dict[str, Any], *, nested: bool = False) -> list[tuple[str, str]]:
    """Nested facts as two columns; names of keys below the first level stay as they are."""
    found: list[tuple[str, str]] = []
    for name, value in facts.items():
        label = name if nested else name.replace("_", " ")
        if isinstance(value, dict) and value and all(not isinstance(item, dict | list) for item in value.values()):
            found.append((label, "\n".join(f"{key}: {_text(item)}" for key, item in value.items())))
        elif isinstance(value, dict):
            found.extend((f"{label}: {inner}" if inner else label, text) for inner, text in rows(value, nested=True))
        elif isinstance(value, list) and name == "labels":
            found.append((label, "\n".join(str(line).strip() for line in value)))
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            found.append((label, "\n".join(", ".join(f"{k} {_text(v)}" for k, v in item.items()) for item in value)))
        elif value is not None and value != []:
            found.append((label, _text(value)))
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return "none" if value is None else str(value)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli info runs/x/model.safetensors",
        "eqcli info dataset.h5",
        "eqcli info POSCAR --json",
        "eqcli info recipes/pipelines/quickstart.yaml",
    )
    app.command(epilog=epilog)(info)
