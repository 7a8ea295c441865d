"""`eqcli train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session
from eqcli.nn.backend import Backend


class Strategy(StrEnum):
    """Where the weights are in a training of several processes."""

    ddp = "ddp"
    fsdp = "fsdp"


def train(
    recipe: options.RecipeFile,
    overrides: options.Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; by default runs/<name of the recipe>.")
    ] = None,
    device: options.Device = "auto",
    backend: options.BackendOption = Backend.AUTO,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed; the same as seed=N.")] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", metavar="MODEL", help="Trained model to start from; the same as fine_tune.model=MODEL."),
    ] = None,
    allow_leak: Annotated[
        bool,
        typer.Option(
            "--allow-leak",
            help="Docking: allow a random split, which reports remembered pockets; data.split.allow_leak=true.",
        ),
    ] = False,
    devices: Annotated[
        str | None,
        typer.Option(
            "--devices", metavar="N|auto", help="Processes on each machine, each with a device; auto: every GPU."
        ),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, help="Machines; more than one need srun or torchrun.")
    ] = None,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="ddp: all weights on every device; fsdp: a share of them on each.")
    ] = Strategy.ddp,
    requeue: Annotated[
        bool,
        typer.Option("--requeue", help="Slurm: on SIGUSR1 put the job back into the queue after the checkpoint."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the output folder from its last checkpoint.")
    ] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train a model from a recipe.

    The recipe and its data are checked before any work. The run's folder gets
    model.safetensors, the resolved recipe, the split, logs and checkpoints.
    """
    count = _count(devices)
    instead = " in place of --overwrite" if overwrite else ""
    hint = f"The same command with --resume{instead} goes on from the last checkpoint."
    with session(quiet=quiet, as_json=json, on_interrupt=hint) as console:
        from eqcli.recipe.load import load_train_recipe

        changes = [*(overrides or []), *([f"seed={seed}"] if seed is not None else [])]
        changes += [f"fine_tune.model={start_from}"] if start_from is not None else []
        changes += ["data.split.allow_leak=true"] if allow_leak else []
        # A run keeps its own copy of the data: the files may be gone when it goes on.
        loaded = load_train_recipe(recipe, changes, files_must_exist=not resume)
        folder = output or Path("runs") / loaded.name
        from eqcli.engine.training_processes import ToldElsewhere
        from eqcli.tasks.train import train as run

        try:
            result = run(
                loaded,
                folder,
                device=device,
                devices=count,
                nodes=nodes,
                strategy=strategy.value,
                resume=resume,
                overwrite=overwrite,
                requeue=requeue,
                report=console.report,
            )
        except ToldElsewhere as end:
            raise typer.Exit(int(end.exit_code)) from None
        if result.is_first:
            finish(console, result)


def _count(devices: str | None) -> int | Literal["auto"] | None:
    """A number of devices, or `auto`."""
    if devices is None or devices == "auto":
        return devices  # type: ignore[return-value]
    if not devices.isdigit() or int(devices) < 1:
        raise typer.BadParameter("expected a number from 1 on, or auto", param_hint="--devices")
    return int(devices)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli train recipes/potentials/mace-ethanol.yaml",
        "eqcli train recipe.yaml model.channels=64 training.batch='{atoms: 200}' -o runs/x",
        "eqcli train recipe.yaml -o runs/x --resume",
        "eqcli train recipe.yaml --devices 4",
        "srun eqcli train recipe.yaml --devices 4 --nodes 2",
        "eqcli train new-data.yaml --from runs/x/model.safetensors fine_tune.freeze='[layers.0]'",
    )
    app.command(epilog=epilog)(train)
