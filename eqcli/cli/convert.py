"""`eqcli convert`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples, label_options
from eqcli.cli.session import finish, session


class Export(StrEnum):
    """What a model file may become."""

    metatomic = "metatomic"


@label_options
def convert(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Files to read, and last the file to write.")],
    labels: options.Labels,
    head: Annotated[str | None, typer.Option("--head", help="Head of a mace-torch model that has several.")] = None,
    formula: Annotated[
        str | None,
        typer.Option("--formula", help="What a standardised torchmd-net model was trained on, such as C2H6O."),
    ] = None,
    to: Annotated[
        Export | None, typer.Option("--to", help="Export a model: metatomic (the ending .pt says so too).")
    ] = None,
    precision: Annotated[
        options.Precision | None,
        typer.Option("--precision", help="Precision of an exported model; by default its own."),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Convert between structure and dataset formats, and import models of mace-torch and torchmd-net.

    The endings of the names say the formats. Frames that cannot be read are listed at the end (exit code 3).
    """
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.errors import InputError

        conventions = labels()
        *inputs, output = files
        if not inputs:
            raise InputError("convert needs a file to read and a file to write", hint="Write `eqcli convert IN OUT`.")
        from eqcli.tasks.convert import convert as run

        result = run(
            inputs,
            output,
            labels=conventions,
            head=head,
            formula=formula,
            to=to.value if to else None,
            precision=precision.value if precision else None,
            overwrite=overwrite,
            report=console.report,
        )
        finish(console, result)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli convert traj.extxyz dataset.h5",
        "eqcli convert a.cif b.cif both.extxyz",
        "eqcli convert data.xyz data.h5 --energy-unit kcal/mol --energy-key E",
        "eqcli convert mace.model model.safetensors",
        "eqcli convert tensornet.ckpt model.safetensors --energy-unit kcal/mol",
        "eqcli convert model.safetensors model.pt --to metatomic",
    )
    app.command(epilog=epilog)(convert)
