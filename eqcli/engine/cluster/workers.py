"""Processes that do chunks of work for one coordinator, whatever brings them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eqcli.engine.usable_cores import usable_cores
from eqcli.errors import MissingDependency
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe


@dataclass(frozen=True)
class Lost:
    """A chunk that was given up, because every worker that took it died over it."""

    reason: str


class Workers(Protocol):
    """Workers that are there or will come."""

    count: int
    """How many are wished for."""

    def map(
        self,
        function: Callable[..., Any],
        numbers: Iterable[int],
        *arguments: Any,
        content: Callable[[int], Any] | None = None,
        progress: Callable[[int], Any] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Calls `function(*arguments, number)` once for each number, and gives (number, what came out) as they end.

        With `content`, `function(*arguments, number, content(number))`; it is asked again where a worker died.

        A number whose worker died is done by another one. Where workers die over a number again and again, and
        `progress(number)` says the same each time, what comes out is :class:`Lost`. Numbers are drawn as
        workers need them. The function and the arguments must be such that another process can import or unpickle
        them. What the function raises is raised here, and nothing more is begun then.
        """


def open_workers(
    count: int | None = None,
    cluster: ClusterRecipe | None = None,
    *,
    folder: Path | None = None,
    report: Reporter | None = None,
) -> AbstractContextManager[Workers]:
    """Workers for the length of a `with` block: processes of this machine, or jobs of a batch system.

    They all end with the block, however that ends; local ones also when this process is killed.

    Parameters
    ----------
    count
        How many; by default as the cluster says.
    cluster
        By default processes of this machine.
    folder
        Where their logs and the credentials of this run go, seen from the nodes too; by default as the cluster says,
        else a temporary folder.

    Raises
    ------
    MissingDependency
        Without the extra `cluster`.
    InputError
        The commands of the batch system are not here, or workers do not start.
    """
    batch = cluster is not None and cluster.is_batch
    for name in ("distributed", "dask_jobqueue") if batch else ("distributed",):
        if find_spec(name) is None:
            raise MissingDependency(
                "several workers need Dask, which is not installed", hint="pip install 'eqcli[cluster]'"
            )
    from eqcli.engine.cluster.dask_pool import DaskPool

    return DaskPool(count or (cluster.workers if cluster is not None else 1), cluster, folder, report or Silent())


def threads_each(count: int, cluster: ClusterRecipe | None = None) -> int:
    """Threads of each worker: its cores, or an even share of those that this command may use."""
    if cluster is not None and (cluster.cores or cluster.is_batch):
        return cluster.cores or 1
    return max(1, usable_cores() // max(1, count))
