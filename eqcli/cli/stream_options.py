"""Options of the subcommands that do any number of structures, by any number of workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

ON_INTERRUPT = "The same command with --resume goes on."

Resume = Annotated[bool, typer.Option("--resume", help="Go on with unfinished work of the same command.")]
WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that share the work; 1 by default, or as --cluster says."),
]
ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", metavar="FILE", help="Recipe of a batch system, whose jobs do the work (cluster.yaml)."),
]


def workers_of(count: int | None, cluster: Path | None) -> tuple[int | None, ClusterRecipe | None]:
    """Number of workers and what brings them up. Raises InputError for a recipe that cannot be read."""
    if cluster is None:
        return count or 1, None
    from eqcli.recipe.load import load_cluster

    return count, load_cluster(cluster)
