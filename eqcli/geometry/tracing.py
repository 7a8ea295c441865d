"""Writing down what a model does as a graph of operations, for any number of atoms and edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_COUNTS: list[Sequence[int]] = []


def tracing() -> bool:
    """Whether the operations are being written down.

    Then no value of a tensor may be looked at, and no size may decide what is done: both would hold for the sample
    alone. Layers that otherwise choose by them take their plain way.
    """
    return bool(_COUNTS)


def traced_counts() -> Sequence[int]:
    """Number of atoms of each element that the model knows; while tracing, atoms are sorted by element."""
    return _COUNTS[-1]


@contextmanager
def tracing_graph(counts: Sequence[int]) -> Iterator[None]:
    """Within the block, operations are written down, for `counts` (symbols) atoms of each element."""
    _COUNTS.append(counts)
    try:
        yield
    finally:
        _COUNTS.pop()


def row_pieces(n: int, step: int) -> Iterator[slice]:
    """The rows `0 .. n` in pieces of `step`, at least one; while tracing all at once, since n is a symbol."""
    if tracing():
        yield slice(0, n)
        return
    for start in range(0, max(n, 1), step):
        yield slice(start, min(start + step, n))
