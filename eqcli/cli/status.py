"""`eqcli status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session


def status(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Folder of a training, pipeline or screen; or an output, written or being written."
        ),
    ],
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """How far some work is: what is done, what failed, how fast, how long still.

    Reads what the work writes, wherever it runs, and disturbs nothing.
    """
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.tasks.status.status import status as read

        finish(console, read(path))


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples("eqcli status runs/x", "eqcli status relaxed.h5", "eqcli status runs/x --json")
    app.command(epilog=epilog)(status)
