"""Options of the subcommands that do any number of structures, by any number of workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.stream.division import Workers

ON_INTERRUPT = "The same command with --resume goes on."

Resume = Annotated[bool, typer.Option("--resume", help="Go on with unfinished work of the same command.")]


def _count(text: str) -> Workers:
    """A number of workers, or `auto`."""
    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise typer.BadParameter(f"'{text}' is neither a whole number above 0 nor auto")
    return int(text)


WorkerCount = Annotated[
    Any,
    typer.Option(
        "--workers",
        parser=_count,
        metavar="N|auto",
        help="Processes that share the work; auto (default): as --cluster says, or one for each core where it pays.",
    ),
]
ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", metavar="FILE", help="Recipe of a batch system, whose jobs do the work (cluster.yaml)."),
]


def workers_of(count: Workers | None, cluster: Path | None) -> tuple[Workers, ClusterRecipe | None]:
    """Number of workers and what brings them up. Raises InputError for a recipe that cannot be read."""
    if cluster is None:
        return count or "auto", None
    from eqcli.recipe.load import load_cluster

    return count or "auto", load_cluster(cluster)
