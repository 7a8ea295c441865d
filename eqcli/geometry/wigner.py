"""Wigner matrices: how spherical tensors turn.

The real basis has y as its polar axis, so that for the unit quaternion (w, x, y, z), with
a = w + iy and b = x + iz, the complex elements of degree l are

    D_m'm = N a^(m' + m) b^(m - m') P(|a|^2, |b|^2)

where a negative power is one of the conjugate and P is a Jacobi polynomial (Wigner, Group Theory,
ch. 15): products and sums alone, without angles, branches or poles.
"""

from __future__ import annotations

from functools import cache
from math import comb, factorial, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan, real_to_complex
from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.irreps import Irreps
from eqcli.geometry.rotations import from_matrix


class WignerD(ConstantModule):
    """D^0 .. D^lmax of rotations, with `Y(R v) = D Y(v)` and `D(q1 q2) = D(q1) D(q2)`.

    Unit quaternions `[..., 4]` to a list of `[..., 2l+1, 2l+1]`. Derivatives of any order are finite
    everywhere. Off the unit sphere the result is a smooth continuation without meaning.
    """

    def __init__(self, lmax: int) -> None:
        super().__init__()
        if lmax < 0:
            raise ValueError(f"degrees begin at 0, got lmax = {lmax}")
        self.lmax = lmax
        for degree in range(1, lmax + 1):
            table = _table(degree)
            self.register_constant(f"jacobi_{degree}", table.jacobi)
            self.register_constant(f"combine_{degree}", table.combine)
            self.register_buffer(f"left_{degree}", table.power_a.clone(), persistent=False)
            self.register_buffer(f"right_{degree}", table.power_b + 2 * lmax, persistent=False)

    def forward(self, quaternions: Tensor) -> list[Tensor]:
        if quaternions.shape[-1:] != (4,):
            raise ValueError(f"Wigner matrices take quaternions [..., 4], got the shape {tuple(quaternions.shape)}")
        self.check_precision(quaternions)
        w, x, y, z = quaternions.reshape(-1, 4).unbind(1)
        a_real, a_imag = complex_powers(w, y, 2 * self.lmax)  # [2 lmax + 1, E], powers 0 ..
        b_real, b_imag = _both_signs(*complex_powers(x, z, 2 * self.lmax))  # [4 lmax + 1, E], powers -2 lmax ..
        a2, b2 = w * w + y * y, x * x + z * z
        found = [torch.ones_like(w).reshape(-1, 1, 1)]
        for degree in range(1, self.lmax + 1):
            left, right = getattr(self, f"left_{degree}"), getattr(self, f"right_{degree}")
            ar, ai = a_real.index_select(0, left), a_imag.index_select(0, left)
            br, bi = b_real.index_select(0, right), b_imag.index_select(0, right)
            radial = getattr(self, f"jacobi_{degree}") @ homogeneous(a2, b2, degree)  # [pairs, E]
            elements = torch.cat([radial * (ar * br - ai * bi), radial * (ar * bi + ai * br)])
            turned = elements.t() @ getattr(self, f"combine_{degree}")
            found.append(turned.reshape(-1, 2 * degree + 1, 2 * degree + 1))
        return [d.reshape(*quaternions.shape[:-1], *d.shape[1:]) for d in found]


def homogeneous(u: Tensor, v: Tensor, degree: int) -> Tensor:
    """`u^(degree - j) v^j` for j = 0 .. degree, `[degree + 1, ...]`."""
    powers_u, powers_v = [torch.ones_like(u)], [torch.ones_like(v)]
    for _ in range(degree):
        powers_u.append(powers_u[-1] * u)
        powers_v.append(powers_v[-1] * v)
    return torch.stack(powers_u[::-1]) * torch.stack(powers_v)


def complex_powers(real: Tensor, imag: Tensor, highest: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of the powers 0 .. highest, `[highest + 1, ...]` each."""
    reals, imags = [torch.ones_like(real)], [torch.zeros_like(imag)]
    for _ in range(highest):
        last_real, last_imag = reals[-1], imags[-1]
        reals.append(last_real * real - last_imag * imag)
        imags.append(last_real * imag + last_imag * real)
    return torch.stack(reals), torch.stack(imags)


def representation(irreps: Irreps, matrix: Tensor) -> Tensor:
    """How tensors of `irreps` (channels last) turn under an orthogonal `matrix` `[3, 3]`.

    `[dim, dim]` float64, so that `x' = D x`. Improper matrices count: each irrep has the sign of its
    parity under the inversion.
    """
    matrix = matrix.detach().double()
    sign = torch.linalg.det(matrix).sign()
    degrees = WignerD(irreps.lmax).to(device=matrix.device, dtype=torch.float64)(from_matrix(matrix * sign))
    parts = []
    for mul, ir in irreps:
        block = torch.kron(degrees[ir.l].contiguous(), torch.eye(mul, dtype=matrix.dtype, device=matrix.device))
        parts.append(block * (ir.p if sign < 0 else 1))
    return torch.block_diag(*parts)


@cache
def generators(degree: int) -> Tensor:
    """J_x, J_y, J_z `[3, 2l+1, 2l+1]` float64, with `D(1 + w x) = 1 + sum_k w_k J_k` for small turns w.

    Antisymmetric, with `[J_x, J_y] = J_z`.
    """
    if degree == 0:
        return torch.zeros(3, 1, 1, dtype=torch.float64)
    # The only vector operator within one degree, up to a factor, is the coupling with degree 1.
    coupled = clebsch_gordan(degree, 1, degree).permute(1, 0, 2)
    coupled = coupled * sqrt(degree * (degree + 1) * (2 * degree + 1))
    commutator = coupled[0] @ coupled[1] - coupled[1] @ coupled[0]
    return coupled * (commutator * coupled[2]).sum().sign()


class _Table(NamedTuple):
    """Constants of one degree: for each pair (m', m) the powers of a and b (integers), the
    coefficients of the Jacobi polynomial, and how real and imaginary parts of the pairs
    make the real matrix, `[2 pairs, (2l+1)^2]`."""

    power_a: Tensor
    power_b: Tensor
    jacobi: Tensor
    combine: Tensor


@cache
def _table(degree: int) -> _Table:
    numbers = range(-degree, degree + 1)
    # (-m', -m) has the conjugate element, with the sign (-1)^(m' - m).
    pairs = [(i, j) for i in numbers for j in numbers if i + j > 0 or (i + j == 0 and j >= i)]
    power_a, power_b = torch.tensor([i + j for i, j in pairs]), torch.tensor([j - i for i, j in pairs])
    jacobi = torch.tensor([_jacobi(degree, i, j) for i, j in pairs], dtype=torch.float64)
    change = torch.from_numpy(real_to_complex(degree))
    parts = []
    for factor in (1.0, 1j):
        for i, j in pairs:
            element = torch.outer(change[degree + i].conj(), change[degree + j]) * factor
            if (i, j) != (0, 0):
                opposite = torch.outer(change[degree - i].conj(), change[degree - j]) * complex(factor).conjugate()
                element = element + (-1) ** (i - j) * opposite
            parts.append(element.real.flatten())
    return _Table(power_a, power_b, jacobi, torch.stack(parts))


def _jacobi(degree: int, row: int, column: int) -> list[float]:
    """Coefficients of `|a|^2(l-j) |b|^2j`, j = 0 .. l, for the element (m', m), with its factor."""
    larger, smaller = max(abs(row), abs(column)), min(abs(row), abs(column))
    order, alpha, beta = degree - larger, abs(row - column), abs(row + column)
    square = factorial(degree + larger) * factorial(degree - larger)
    factor = sqrt(square / (factorial(degree + smaller) * factorial(degree - smaller))) * (-1) ** max(0, row - column)
    lowest = [(-1) ** j * comb(order + alpha, order - j) * comb(order + beta, j) for j in range(order + 1)]
    return [factor * c for c in _raised(lowest, degree - order)]


def _raised(coefficients: list[int], times: int) -> list[int]:
    """A homogeneous polynomial in (u, v) times (u + v)^times, which is 1 on the unit sphere."""
    for _ in range(times):
        coefficients = [a + b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)]
    return coefficients


def _both_signs(real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
    """Powers -n .. n from powers 0 .. n of a number; the negative ones are those of its conjugate."""
    return torch.cat([real[1:].flip(0), real]), torch.cat([-imag[1:].flip(0), imag])
