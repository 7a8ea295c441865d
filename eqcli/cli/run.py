"""`eqcli run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session
from eqcli.nn.backend import Backend


def run(
    recipe: options.RecipeFile,
    overrides: options.Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the pipeline; by default runs/<its name>."),
    ] = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STEP", help="Redo this step even if nothing changed.")
    ] = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run a pipeline: steps that use each other's results.

    Each step has a folder of its name. A second run redoes only what changed; an
    interrupted training goes on from its last checkpoint.
    """
    hint = "The same command goes on from where it stopped."
    with session(quiet=quiet, as_json=json, on_interrupt=hint) as console:
        from eqcli.recipe.load import load_pipeline

        loaded = load_pipeline(recipe, overrides or [])
        from eqcli.recipe.plan import plan
        from eqcli.tasks.pipeline import run_pipeline

        folder = output or Path("runs") / loaded.name
        steps = plan(loaded)
        result = run_pipeline(loaded.name, steps, folder, device=device, force=force or (), report=console.report)
        finish(console, result)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli run recipes/pipelines/quickstart.yaml",
        "eqcli run pipeline.yaml steps.relax.with.fmax=0.005 -o runs/try",
        "eqcli run pipeline.yaml --force evaluate",
    )
    app.command(epilog=epilog)(run)
