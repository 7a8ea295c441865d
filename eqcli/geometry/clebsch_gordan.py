"""Coupling of irreducible representations of SO(3) in the real basis.

The real basis of degree l is ordered m = -l..l with y as the polar axis, so that
degree 1 is (x, y, z); it is the basis of e3nn. Constants are computed in
float64 from exact integers and cached.
"""

from __future__ import annotations

from functools import cache
from math import comb, sqrt

import numpy as np
import torch
from torch import Tensor

LARGEST_SUM = 62
"""Largest l1 + l2 + l3: the integers behind the coefficients stay below 2 to this power, so that int64 holds them."""


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Tensor:
    """The invariant tensor C that couples l1 and l2 to l3, `[2l1+1, 2l2+1, 2l3+1]` float64.

    It is unique up to a factor; here the sum of its squares is 1, so that
    `z_k = sqrt(2 l3 + 1) sum_ij C_ijk x_i y_j` has components of unit variance when
    those of x and y have. Sign and order agree with e3nn's `wigner_3j`. What selection rules
    forbid is exactly zero. The tensor is shared: do not write to it. Raises ValueError when
    the triangle rule forbids the coupling or the degrees add up to more than 62.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"degrees {l1}, {l2} and {l3} violate the triangle rule")
    if l1 + l2 + l3 > LARGEST_SUM:
        raise ValueError(f"degrees {l1}, {l2} and {l3} are too large: they may add up to {LARGEST_SUM} at most")
    # The phases (-i)^l in the change of basis make the result real.
    real = np.tensordot(real_to_complex(l1), _complex_coupling(l1, l2, l3), axes=(0, 0))
    real = np.tensordot(real_to_complex(l2), real, axes=(0, 1)).transpose(1, 0, 2)
    found = (real @ real_to_complex(l3).conj()).real * _selection_rules(l1, l2, l3)
    return torch.from_numpy(np.ascontiguousarray(found / np.linalg.norm(found)))


def _complex_coupling(j1: int, j2: int, j3: int) -> np.ndarray:
    """<j1 m1 j2 m2 | j3 m3> in the Condon-Shortley convention up to one positive factor, `[2j1+1, 2j2+1, 2j3+1]`.

    Racah's formula with its factorials gathered to binomial coefficients: an integer sum, free of
    rounding, over the root of `binom(2j1, j1+m1) binom(2j2, j2+m2) binom(2j3, j3+m3)`.
    """
    spare, left, right = j1 + j2 - j3, j1 - j2 + j3, j2 - j1 + j3
    m1, m2 = np.arange(-j1, j1 + 1), np.arange(-j2, j2 + 1)
    total = np.zeros((2 * j1 + 1, 2 * j2 + 1), dtype=np.int64)
    for k in range(spare + 1):
        term = np.outer(_binomials(left, j1 - m1 - k), _binomials(right, j2 + m2 - k))
        total += (-1) ** k * comb(spare, k) * term
    m3 = m1[:, None] + m2
    root1, root2, root3 = (np.sqrt(_binomials(2 * j, j + m)) for j, m in ((j1, m1), (j2, m2), (j3, m3)))
    row, column = np.nonzero(np.abs(m3) <= j3)
    table = np.zeros((2 * j1 + 1, 2 * j2 + 1, 2 * j3 + 1))
    table[row, column, m3[row, column] + j3] = total[row, column] / (root1[row] * root2[column] * root3[row, column])
    return table


def _binomials(n: int, k: np.ndarray) -> np.ndarray:
    """Binomial coefficients of n over each k, zero where k is out of range."""
    found: np.ndarray = np.where((k >= 0) & (k <= n), _row_of_binomials(n)[np.clip(k, 0, n)], 0)
    return found


@cache
def _row_of_binomials(n: int) -> np.ndarray:
    return np.array([comb(n, k) for k in range(n + 1)], dtype=np.int64)


def _selection_rules(l1: int, l2: int, l3: int) -> np.ndarray:
    """Where the real tensor may differ from zero: |m3| is |m1| + |m2| or ||m1| - |m2||, and an even number of
    factors is a sine (m < 0) when l1 + l2 + l3 is even, an odd number when it is odd."""
    m1, m2, m3 = np.ix_(*(np.arange(-degree, degree + 1) for degree in (l1, l2, l3)))
    sum_rule = (abs(m3) == abs(m1) + abs(m2)) | (abs(m3) == abs(abs(m1) - abs(m2)))
    sines = (m1 < 0).astype(int) + (m2 < 0) + (m3 < 0)
    allowed: np.ndarray = sum_rule & ((sines + l1 + l2 + l3) % 2 == 0)
    return allowed


@cache
def real_to_complex(l: int) -> np.ndarray:  # noqa: E741 (the degree is called l everywhere)
    """Unitary matrix U with `Y_complex = U @ Y_real`, times (-i)^l, rows m = -l..l."""
    matrix = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    matrix[l, l] = 1.0
    for m in range(1, l + 1):
        matrix[l - m, l + m] = 1 / sqrt(2)
        matrix[l - m, l - m] = -1j / sqrt(2)
        matrix[l + m, l + m] = (-1) ** m / sqrt(2)
        matrix[l + m, l - m] = 1j * (-1) ** m / sqrt(2)
    return (-1j) ** l * matrix
