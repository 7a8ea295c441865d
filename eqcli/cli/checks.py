"""What is looked at before any work begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.recipe.schema import TrainRecipe


def refuse_existing_run(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Raises InputError where a run's folder exists and neither may be continued nor replaced."""
    if folder.exists() and not folder.is_dir():
        raise InputError("a file of this name is in the way of the run's folder", Where(folder), "Choose another -o.")
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other", hint="Give one of them.")
    if folder.exists() and any(folder.iterdir()) and not (resume or overwrite):
        raise InputError(
            "this run exists already",
            Where(folder),
            "Continue it with --resume, replace it with --overwrite, or choose another folder with -o.",
        )


def check_data(recipe: TrainRecipe, console: Console) -> dict[str, Any]:
    """Opens the data of a recipe and says what is in it. Raises ErrorGroup for what would stop the training."""
    from eqcli.tasks.check import check_data as check

    report = check(recipe, report=console.report)
    for line in report.lines():
        console.say(line)
    for warning in report.warnings:
        console.report.warning(warning)
    facts: dict[str, Any] = report.as_dict()
    return facts
