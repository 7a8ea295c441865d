"""`eqcli register`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.register_options import FILES, FOR_MANY, plain, refuse, register_options
from eqcli.cli.session import finish, session

if TYPE_CHECKING:
    from eqcli.cli.console import Console
    from eqcli.cli.session import Result

RESUME = "`--resume` goes on with the pairs of a folder."


@register_options
def register(
    given: dict[str, Any],
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="What is moved.")] = None,
    target: Annotated[Path | None, typer.Argument(metavar="TARGET", help="What stays.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The source, moved, with all that its file has; a folder with --pairs."),
    ] = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """The rigid motion that lays one cloud of points, molecule, protein or crystal onto another, at any rotation.

    Where nothing speaks for any motion, there is "no reliable alignment": the evidence is shown, neither a moved file
    nor a matrix is written, and the exit code is 3.
    """
    with session(quiet=quiet, as_json=json, on_interrupt=RESUME if "pairs" in given else "") as console:
        refuse(given, source, target, output)
        asked = plain(given) | {"device": device}
        if "pairs" in asked:
            finish(console, _many(asked, output, overwrite, console))
        else:
            finish(console, _single(asked, source, target, output, overwrite, console))


def _many(asked: dict[str, Any], output: Path | None, overwrite: bool, console: Console) -> Result:
    from eqcli.tasks.register_many import register_pairs
    from eqcli.tasks.register_many_request import PairsRequest
    from eqcli.tasks.register_request import RegisterRequest

    pairs, many = asked.pop("pairs"), {name: asked.pop(name) for name in FOR_MANY if name in asked}
    resume = bool(many.pop("resume", False))
    request = PairsRequest(pairs, RegisterRequest(Path(), Path(), **asked), **many)
    assert output is not None
    return register_pairs(request, output, overwrite=overwrite, resume=resume, report=console.report)


def _single(
    asked: dict[str, Any],
    source: Path | None,
    target: Path | None,
    output: Path | None,
    overwrite: bool,
    console: Console,
) -> Result:
    from eqcli.tasks.register import register as run
    from eqcli.tasks.register_files import RegisterFiles
    from eqcli.tasks.register_request import RegisterRequest

    files = RegisterFiles(output, **{name: asked.pop(name) for name in FILES if name in asked})
    assert source is not None
    assert target is not None
    return run(RegisterRequest(source, target, **asked), files, overwrite=overwrite, report=console.report)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli register source.ply target.pcd -o aligned.ply --transform T.txt",
        "eqcli register a.ply b.ply --method pare-net --model pare.safetensors --viewer out.html",
        "eqcli register mobile.pdb reference.cif --on ca -o fitted.pdb",
        "eqcli register mol_a.sdf mol_b.sdf --permute",
        "eqcli register cell_a.cif cell_b.cif",
        "eqcli register --pairs pairs.csv -o out/ --pose-graph",
    )
    app.command(epilog=epilog)(register)
