"""Threads of the processes that do the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def set_threads(count: int) -> None:
    """Makes operations of this process use so many threads."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


@contextmanager
def threads_of_this_process(count: int) -> Iterator[None]:
    """So many threads inside; as before afterwards."""
    import torch

    before = torch.get_num_threads()
    set_threads(count)
    try:
        yield
    finally:
        set_threads(before)
