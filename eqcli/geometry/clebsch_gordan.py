"""Coupling of irreducible representations of SO(3) in the real basis.

The real basis of degree l is ordered m = -l..l with y as the polar axis, so that
degree 1 is (x, y, z); it is the basis of e3nn. Constants are computed in
float64 from exact integers and cached.
"""

from __future__ import annotations

from functools import cache
from math import factorial, sqrt

import numpy as np
import torch
from torch import Tensor


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Tensor:
    """The invariant tensor C that couples l1 and l2 to l3, `[2l1+1, 2l2+1, 2l3+1]` float64.

    It is unique up to a factor; here the sum of its squares is 1, so that
    `z_k = sqrt(2 l3 + 1) sum_ij C_ijk x_i y_j` has components of unit variance when
    those of x and y have. Raises ValueError when the triangle rule forbids the coupling.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"degrees {l1}, {l2} and {l3} violate the triangle rule")
    complex_basis = _complex_coupling(l1, l2, l3)
    real = np.einsum(
        "ai,bj,ck,abc->ijk", _real_to_complex(l1), _real_to_complex(l2), _real_to_complex(l3).conj(), complex_basis
    )
    # The phases (-i)^l in the change of basis make the result real.
    return torch.from_numpy(np.ascontiguousarray(real.real) / np.linalg.norm(real.real))


def _complex_coupling(j1: int, j2: int, j3: int) -> np.ndarray:
    """<j1 m1 j2 m2 | j3 m3> in the Condon-Shortley convention, by Racah's formula."""
    table = np.zeros((2 * j1 + 1, 2 * j2 + 1, 2 * j3 + 1))
    for m1 in range(-j1, j1 + 1):
        for m2 in range(-j2, j2 + 1):
            if abs(m1 + m2) <= j3:
                table[m1 + j1, m2 + j2, m1 + m2 + j3] = _racah(j1, m1, j2, m2, j3, m1 + m2)
    return table


def _racah(j1: int, m1: int, j2: int, m2: int, j3: int, m3: int) -> float:
    f = factorial
    square = (
        (2 * j3 + 1) * f(j3 + j1 - j2) * f(j3 - j1 + j2) * f(j1 + j2 - j3)
        * f(j3 + m3) * f(j3 - m3) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    ) / f(j1 + j2 + j3 + 1)  # fmt: skip
    total = 0.0
    for k in range(max(0, j2 - j3 - m1, j1 - j3 + m2), min(j1 + j2 - j3, j1 - m1, j2 + m2) + 1):
        total += (-1) ** k / (
            f(k) * f(j1 + j2 - j3 - k) * f(j1 - m1 - k) * f(j2 + m2 - k) * f(j3 - j2 + m1 + k) * f(j3 - j1 - m2 + k)
        )
    return sqrt(square) * total


def _real_to_complex(l: int) -> np.ndarray:  # noqa: E741 (the degree is called l everywhere)
    """Unitary matrix U with `Y_complex = U @ Y_real`, times (-i)^l, rows m = -l..l."""
    matrix = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    matrix[l, l] = 1.0
    for m in range(1, l + 1):
        matrix[l - m, l + m] = 1 / sqrt(2)
        matrix[l - m, l - m] = -1j / sqrt(2)
        matrix[l + m, l + m] = (-1) ** m / sqrt(2)
        matrix[l + m, l - m] = 1j * (-1) ** m / sqrt(2)
    return (-1j) ** l * matrix
