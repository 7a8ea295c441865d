"""`eqcli submit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqcli.cli import options
from eqcli.cli.options import examples
from eqcli.cli.session import finish, session

if TYPE_CHECKING:
    from eqcli.tasks.submit import Command

RECIPE_ENDINGS = (".yaml", ".yml")
NOT_SUBMITTED = ("submit", "status", "recipe", "info")


def submit(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE [KEY=VALUE]... | -- COMMAND...",
            help="A recipe of a training or pipeline and changes of it; or, after --, any other command.",
        ),
    ],
    cluster: Annotated[
        Path, typer.Option("--cluster", metavar="FILE", help="The batch system and what jobs ask of it (cluster.yaml).")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of a recipe's run; by default runs/<its name>.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the script of the job and do nothing else.")] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Give a training, a pipeline or any command to a batch system.

    Writes the script of the job beside the output, shows it and submits it. A
    job that is stopped goes back into the queue and goes on from where it was.
    """
    is_recipe = words[0].endswith(RECIPE_ENDINGS)
    # Outside the session, so that mistakes in options are told as those of the command itself.
    options_given = None if is_recipe else _parsed(context, words)
    with session(quiet=quiet, as_json=json) as console:
        from eqcli.recipe.load import load_cluster

        known = load_cluster(cluster)
        if output is not None and not is_recipe:
            from eqcli.errors import InputError

            raise InputError("-o of a command stands after --, with its other options")
        given = _recipe(words, output) if is_recipe else _command(context, words, options_given)
        from eqcli.tasks.submit import submit as run

        result = run(given, known, dry_run=dry_run, report=console.report)
        console.say(result.script)
        finish(console, result)


def _recipe(words: list[str], output: Path | None) -> Command:
    """The command that runs a recipe, which is checked before it waits in a queue."""
    from eqcli.errors import InputError, Where
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.recipe.load import load_recipe
    from eqcli.recipe.schema import PipelineRecipe
    from eqcli.tasks.submit import Command

    file, *overrides = words
    recipe = load_recipe(file, overrides)
    if isinstance(recipe, ClusterRecipe):
        raise InputError("this recipe describes a cluster", Where(file), "Name a training or a pipeline to submit.")
    folder = output or Path("runs") / recipe.name
    verb = "run" if isinstance(recipe, PipelineRecipe) else "train"
    return Command((verb, file, *overrides, "-o", str(folder)), folder, resumes=verb == "train")


def _runnable(context: typer.Context) -> dict[str, Any]:
    """The commands that may run as a job, by name."""
    commands: dict[str, Any] = getattr(context.parent.command, "commands", {}) if context.parent else {}
    return {name: command for name, command in commands.items() if name not in NOT_SUBMITTED}


def _parsed(context: typer.Context, words: list[str]) -> dict[str, Any] | None:
    """The options of a command, looked at before it waits in a queue; None where there is no such command."""
    command, rest = _runnable(context).get(words[0]), words[1:]
    while rest and rest[0] in getattr(command, "commands", ()):
        command, rest = command.commands[rest[0]], rest[1:]  # type: ignore[union-attr]
    if command is None:
        return None
    with command.make_context(words[0], list(rest), parent=context.parent) as parsed:
        return dict(parsed.params)


def _command(context: typer.Context, words: list[str], given: dict[str, Any] | None) -> Command:
    """Another command. Raises InputError where it is none that can be submitted."""
    from eqcli.errors import InputError
    from eqcli.names import did_you_mean
    from eqcli.tasks.submit import Command

    if given is None:
        hint = did_you_mean(words[0], _runnable(context), "commands") or "Give a recipe (.yaml), or a command after --."
        raise InputError(f"'{words[0]}' is neither a recipe nor a command that can be submitted", hint=hint)
    if given.get("overwrite"):
        raise InputError(
            "--overwrite would begin anew each time that the job goes back into the queue",
            hint="Remove what is there, or choose another output.",
        )
    output = given.get("output")
    resumes = "resume" in given and not given["resume"] and output is not None
    return Command(tuple(words), Path(output) if output is not None else None, resumes)


def add_to(app: typer.Typer) -> None:
    """Registers the subcommand."""
    epilog = examples(
        "eqcli submit recipe.yaml --cluster cluster.yaml",
        "eqcli submit recipe.yaml training.max_epochs=500 --cluster cluster.yaml -o runs/x --dry-run",
        "eqcli submit --cluster cluster.yaml -- predict runs/x/model.safetensors huge.h5 -o out.h5",
    )
    app.command(epilog=epilog)(submit)
