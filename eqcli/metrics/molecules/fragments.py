"""Into how many pieces bonds leave a molecule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def fragments(n: int, bonds: Iterable[Sequence[float]]) -> int:
    """Number of pieces that bonds join `n` atoms to."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j, order in bonds:
        if order and 0 <= i < n and 0 <= j < n:
            parent[root(int(i))] = root(int(j))
    return sum(parent[i] == i for i in range(n))
