"""Held-out batches of which each process of a training takes a share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from eqcli.engine.training_processes import Processes

T = TypeVar("T")


class HeldOut:
    """The batches of this process, and the means to add up what all processes found.

    Parameters
    ----------
    batches
        In the same order every time.
    firsts
        The number of the first structure of each batch among all held-out ones; None counts from 0.
    processes
        Those that share the work; None where this one has all batches.
    """

    def __init__(
        self, batches: Iterable[Any], firsts: Sequence[int] | None = None, processes: Processes | None = None
    ) -> None:
        self.batches = batches
        self.firsts = firsts
        self.processes = processes

    @classmethod
    def of(cls, batches: Iterable[Any]) -> HeldOut:
        """`batches` as they are, or all the work for this process."""
        return batches if isinstance(batches, HeldOut) else cls(batches)

    @property
    def shared(self) -> bool:
        """Whether other processes have a part of the batches."""
        return self.processes is not None and self.processes.size > 1

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def numbered(self) -> Iterator[tuple[int, Any]]:
        """The batches, each with the number of its first structure."""
        if self.firsts is not None:
            yield from zip(self.firsts, self.batches, strict=True)
            return
        first = 0
        for batch in self.batches:
            yield first, batch
            first += _members(batch)

    def total(self, sums: Tensor) -> Tensor:
        """The sum over the processes."""
        return sums if self.processes is None else self.processes.total(sums)

    def every(self, rows: list[T]) -> list[T]:
        """The rows of all processes, those of the first process first."""
        return rows if self.processes is None else [row for own in self.processes.gathered(rows) for row in own]

    def means(self, sums: dict[str, float], members: int) -> tuple[dict[str, float], int]:
        """Sums by name and numbers of structures, added up over the processes."""
        if not self.shared:
            return sums, members
        added: dict[str, float] = {}
        for own in self.every([sums]):
            for name, value in own.items():
                added[name] = added.get(name, 0.0) + value
        return added, sum(self.every([members]))


def _members(batch: Any) -> int:
    """Structures of a batch; those of families that need no numbers are not counted."""
    return len(batch) if hasattr(batch, "__len__") else 0


def dealt(batches: Sequence[Sequence[int]], rank: int, world: int) -> tuple[list[int], list[int]]:
    """Numbers of the batches of one process, dealt out in turn, and of the first structure of each of them."""
    numbers = list(range(rank, len(batches), world))
    bounds = [0, *accumulate(map(len, batches))]
    return numbers, [bounds[number] for number in numbers]
