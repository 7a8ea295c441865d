"""The command line: `eqcli COMMAND`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from eqcli import __version__
from eqcli.cli import convert, evaluate, generate, info, predict, recipe, register, relax, run, status, submit, train
from eqcli.cli.console import Console
from eqcli.cli.options import examples
from eqcli.errors import ExitCode
from eqcli.names import nearest

ClickException: type[Exception] = typer.BadParameter.__mro__[2]
"""Base of every mistake in the options, wherever typer keeps it."""

app = typer.Typer(
    name="eqcli",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "eqcli train recipes/potentials/mace-ethanol.yaml -o runs/ethanol",
        "eqcli predict runs/ethanol/model.safetensors molecules.sdf -o out.extxyz",
        "eqcli run recipes/pipelines/quickstart.yaml",
        "eqcli info runs/ethanol/model.safetensors",
    )
    + "\n\nExit codes: 0 done, 1 defect, 2 bad input, 3 some items failed, 4 not converged, "
    "5 audit failed, 130 stopped.",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"eqcli {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """An equivariant workbench for molecules and materials: potentials, generators, docking, registration."""


for module in (train, predict, register, generate, relax, evaluate, run, submit, status, info, convert):
    module.add_to(app)
app.add_typer(recipe.app, name="recipe")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Threads that spin while they wait starve each other on a shared machine; set before torch reads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        # A terminal or log in another encoding shows ? for Å rather than ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = typer.main.get_command(app).main(args=words, prog_name="eqcli", standalone_mode=False)
    except ClickException as error:
        code = _usage_error(error, words)
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    sys.exit(int(code) if isinstance(code, int) else 0)


def _usage_error(error: Any, words: Sequence[str]) -> int:
    """A mistake in the options, told with the nearest option; the help where nothing was asked for."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return ExitCode.BAD_INPUT
    message = error.message if hasattr(error, "option_name") else _plain(error.format_message())
    hints = []
    if (option := getattr(error, "option_name", None)) and context is not None and "No such option" in message:
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        match = nearest(option, [name for name in known if name.startswith("--")])
        hints = [f"Did you mean {match}?"] if match else []
    if context is not None:
        hints.append(f"`{context.command_path} --help` shows every option.")
    console = Console(as_json="--json" in words)
    console.note("error: " + message.rstrip(".") + "".join(f"\n  {hint}" for hint in hints))
    console.document({"error": {"message": message, "hint": " ".join(hints), "exit_code": int(ExitCode.BAD_INPUT)}})
    return ExitCode.BAD_INPUT


def _plain(message: str) -> str:
    """A message of the option parser without the words of the validator behind it."""
    return re.sub(r"Value error, |, unable to .*$", "", message).replace("Input should be", "expected")
