"""Coupling tensors as lists of their nonzero coefficients."""

from __future__ import annotations

from functools import cache

from eqcli.nn.message_maps import MessagePath, path_coupling

NEGLIGIBLE = 1e-12
"""Coupling coefficients below this are rounding of an exact zero."""


@cache
def nonzeros(path: MessagePath) -> tuple[tuple[int, int, int, float], ...]:
    """`(m1, m2, m3, C[m1, m2, m3])` of one path, in the order of the indices."""
    table = path_coupling(path.l1, path.l2, path.l3)
    return tuple((*index, float(table[tuple(index)])) for index in (table.abs() > NEGLIGIBLE).nonzero().tolist())
