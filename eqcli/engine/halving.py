"""Computing things together, and in halves where the memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from eqcli.engine.device import out_of_memory
from eqcli.engine.memory_budget import MemoryBudget

T = TypeVar("T")
R = TypeVar("R")

TOO_LARGE = "it needs more memory than there is"


def in_halves(
    items: Sequence[T],
    compute: Callable[[Sequence[T]], R],
    size: Callable[[Sequence[T]], tuple[int, int]],
    budget: MemoryBudget,
) -> Iterator[tuple[Sequence[T], R | None]]:
    """What `compute` makes of `items`, in as many parts as the memory makes necessary, in order.

    The budget learns from each part that fits and is halved by each that does not.

    Parameters
    ----------
    size
        Atoms and edges of several items, as the budget counts them.

    Yields
    ------
    The items of a part and what was made of them; None for a single one that does not fit alone.
    """
    found = _attempt(items, compute, size, budget)
    if found is not None:
        yield items, found[0]
    elif len(items) == 1:
        yield items, None
    else:
        budget.halve(*size(items))
        for part in admitted(items, size, budget):
            yield from in_halves(part, compute, size, budget)


def admitted(
    items: Sequence[T], size: Callable[[Sequence[T]], tuple[int, int]], budget: MemoryBudget
) -> Iterator[Sequence[T]]:
    """Items that did not fit together, in parts of half as many, or fewer where the budget says so by now."""
    middle = (len(items) + 1) // 2
    for part in (items[:middle], items[middle:]):
        if len(part) > 1 and not budget.admits(*size(part)):
            yield from admitted(part, size, budget)
        elif part:
            yield part


def _attempt(
    items: Sequence[T],
    compute: Callable[[Sequence[T]], R],
    size: Callable[[Sequence[T]], tuple[int, int]],
    budget: MemoryBudget,
) -> tuple[R] | None:
    try:
        with budget.watch(*size(items)):
            return (compute(items),)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # Outside the handler, whose traceback holds on to the tensors.
    release(budget.device)
    return None


def release(device: torch.device) -> None:
    """Gives back what torch keeps of a CUDA device's memory, so that smaller pieces can be cut from it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
