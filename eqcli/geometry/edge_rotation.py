"""Wigner matrices that turn features into the frame of each edge, in the order that convolutions want.

In the frame of an edge, components are sorted by order m: all degrees of m = 0 first, then those of
+1, of -1, of +2 and so on, so that what mixes degrees at fixed m is a matrix product of contiguous
columns. The degrees are taken in groups (0 to 4, then two by two), each with one block matrix per
edge: little larger than one matrix per degree, and far quicker on small channels.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.wigner import WignerD, complex_powers, generators

FIRST_GROUP = 4
"""Highest degree of the first group; the others hold two degrees each."""


class Group(NamedTuple):
    """The degrees `low .. high`, of which the frame keeps orders up to `mmax`."""

    low: int
    high: int
    mmax: int

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(l, m) of each component in the frame."""
        signed = [0] + [sign * m for m in range(1, self.mmax + 1) for sign in (1, -1)]
        return [(degree, m) for m in signed for degree in range(max(self.low, abs(m)), self.high + 1)]

    @property
    def columns(self) -> slice:
        """Where the components of these degrees lie outside the frame."""
        return slice(self.low**2, (self.high + 1) ** 2)

    def count(self, m: int) -> int:
        """Degrees that have the order m."""
        return max(0, self.high - max(self.low, m) + 1)

    def start(self, m: int) -> int:
        """First row of +m (m > 0); those of -m follow."""
        return 0 if m == 0 else self.count(0) + 2 * sum(self.count(k) for k in range(1, m))


@cache
def groups(lmax: int, mmax: int) -> list[Group]:
    """The groups that cover the degrees 0 .. lmax."""
    first = min(FIRST_GROUP, lmax)
    found = [Group(0, first, min(mmax, first))]
    for low in range(first + 1, lmax + 1, 2):
        high = min(low + 1, lmax)
        found.append(Group(low, high, min(mmax, high)))
    return found


class FrameMatrices(ConstantModule):
    """Block matrices `[E, rows, columns]` of each group for unit vectors `[E, 3]`.

    They turn the direction to +y by the shortest way, y < 0 after a half turn about x, so that one
    component of the quaternion is always zero: the elements are harmonics of even degree of the other
    three, one matrix product.
    The roll about y jumps at y = 0: these are for maps that commute with it. No derivatives.
    """

    recurrence: Tensor

    def __init__(self, lmax: int, mmax: int) -> None:
        super().__init__()
        self.groups = groups(lmax, mmax)
        for i, group in enumerate(self.groups):
            self.register_constant(f"matrix_{i}", _polynomials(group))
            self.register_constant(f"signs_{i}", _half_turn_signs(group))
        for degree in range(1, lmax + 1):
            self.register_constant(f"generator_{degree}", generators(degree).flatten(1).t())
        # As integers, which keep their values when the module changes precision.
        self.register_buffer("recurrence", _recurrence(2 * lmax).clone(), persistent=False)

    @property
    def generators(self) -> list[Tensor]:
        """Generators of turns about x, y and z for degrees 1 .. lmax, `[(2l+1)^2, 3]` each."""
        return [getattr(self, f"generator_{degree}") for degree in range(1, self.groups[-1].high + 1)]

    @torch.no_grad()
    def forward(self, directions: Tensor) -> list[Tensor]:
        # In float64 whatever the precision: errors of the direction grow with the degree.
        x, y, z = torch.nn.functional.normalize(directions.double(), dim=1).unbind(1)
        flipped = y < 0
        w, x, z = _shortest(x, y.abs(), torch.where(flipped, -z, z))
        basis = _even_harmonics(w, x, z, self.recurrence).to(directions.dtype)
        found = []
        for i, group in enumerate(self.groups):
            coefficients = getattr(self, f"matrix_{i}")
            matrices = (basis[: len(coefficients)].t() @ coefficients).unflatten(1, (len(group.rows), -1))
            signs = torch.where(flipped.unsqueeze(1), getattr(self, f"signs_{i}"), torch.ones_like(matrices[:1, 0]))
            found.append(matrices.mul_(signs.unsqueeze(1)))
        return found


def _shortest(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """w, x and z of the quaternion with y = 0 that turns (x, y, z), y >= 0, to +y."""
    scale = torch.rsqrt(2 * (1 + y))
    return (1 + y) * scale, -z * scale, x * scale


def _even_harmonics(w: Tensor, x: Tensor, z: Tensor, recurrence: Tensor) -> Tensor:
    """Orthogonal harmonics of the unit vector (w, x, z), degrees 0, 2 .. 2 lmax, `[(lmax+1)(2 lmax+1), E]`.

    Associated Legendre functions of w by their recurrence in the degree, as polynomials, times the
    real and imaginary parts of (x + iz)^k.
    """
    highest = recurrence.shape[2] - 1
    real, imag = complex_powers(x, z, highest)
    a, b, c = (recurrence[0].to(w) / recurrence[1].to(w)).sqrt().unsqueeze(-1)  # [degrees, orders, 1] each
    last, legendre = torch.zeros_like(real[:0]), torch.ones_like(real[:1])
    found = [legendre]
    for n in range(1, highest + 1):
        grown = a[n, :n] * w * legendre
        grown = torch.cat([grown[:-1] - b[n, : n - 1] * last, grown[-1:], c[n, :1] * legendre[-1:]])
        last, legendre = legendre, grown
        if n % 2 == 0:
            found += [legendre * real[: n + 1], legendre[1:] * imag[1 : n + 1]]
    return torch.cat(found)


@cache
def _recurrence(highest: int) -> Tensor:
    """`P_nk = a w P_(n-1)k - b P_(n-2)k` for k < n and `P_nn = c P_(n-1)(n-1)`: squares of a, b and c as fractions.

    `[2, 3, highest + 1, highest + 1]` integers: numerators and denominators, by degree n and order k. The
    harmonics then have the mean square 1 on the sphere.
    """
    table = torch.zeros(2, 3, highest + 1, highest + 1, dtype=torch.int64)
    table[1] = 1
    for n in range(1, highest + 1):
        for k in range(n):
            table[:, 0, n, k] = torch.tensor([4 * n * n - 1, n * n - k * k])
            if k < n - 1:
                above = (2 * n + 1) * ((n - 1) ** 2 - k * k)
                table[:, 1, n, k] = torch.tensor([above, (2 * n - 3) * (n * n - k * k)])
        table[:, 2, n, 0] = torch.tensor([2 * n + 1, 1 if n == 1 else 2 * n])
    return table


@cache
def _polynomials(group: Group) -> Tensor:
    """`[harmonics, rows * columns]` float64: the matrix of a group as a sum of harmonics.

    Fitted to :class:`WignerD`, whose elements these harmonics span.
    """
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(2 * (group.high + 1) * (2 * group.high + 1), 3, generator=generator, dtype=torch.float64)
    w, x, z = torch.nn.functional.normalize(points, dim=1).unbind(1)
    basis = _even_harmonics(w, x, z, _recurrence(2 * group.high))
    wigner = WignerD(group.high).double()(torch.stack([w, x, torch.zeros_like(w), z], dim=1))
    elements = torch.cat([matrix.flatten(1) for matrix in wigner[group.low :]], dim=1)
    fitted = torch.linalg.lstsq(basis.T, elements).solution
    sizes = [(2 * degree + 1) ** 2 for degree in range(group.low, group.high + 1)]
    degrees = [
        part.unflatten(1, (2 * degree + 1, 2 * degree + 1))
        for degree, part in zip(range(group.low, group.high + 1), fitted.split(sizes, dim=1), strict=True)
    ]
    return _block(group, degrees).flatten(1)


def _block(group: Group, degrees: list[Tensor]) -> Tensor:
    """The block matrices `[n, rows, columns]` of a group from those of its degrees, `[n, 2l+1, 2l+1]`."""
    start = group.columns.start
    block = degrees[0].new_zeros(len(degrees[0]), len(group.rows), group.columns.stop - start)
    for row, (degree, m) in enumerate(group.rows):
        columns = slice(degree**2 - start, (degree + 1) ** 2 - start)
        block[:, row, columns] = degrees[degree - group.low][:, degree + m]
    return block


@cache
def _half_turn_signs(group: Group) -> Tensor:
    """The diagonal of the half turn about x, one sign for each column."""
    half_turn = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    wigner = WignerD(group.high).double()(half_turn)
    return torch.cat([wigner[degree].diagonal() for degree in range(group.low, group.high + 1)]).round()


@cache
def _frame_matrices(lmax: int, mmax: int, dtype: torch.dtype, device: torch.device) -> FrameMatrices:
    return FrameMatrices(lmax, mmax).to(device=device, dtype=dtype)


class EdgeRotation:
    """Everything about the directions of edges that convolutions need: made once per graph, shared by layers.

    Parameters
    ----------
    directions
        Unit vectors `[E, 3]`. Gradients reach them through the convolutions.
    lmax, mmax
        Highest degree and order that the layers use; matrices for others are made when first asked for.
    """

    def __init__(self, directions: Tensor, lmax: int | None = None, mmax: int | None = None) -> None:
        self.directions = directions
        self.generators: list[Tensor] = []
        self._matrices: dict[tuple[int, int], list[Tensor]] = {}
        if lmax is not None:
            self.matrices(lmax, lmax if mmax is None else mmax)

    def matrices(self, lmax: int, mmax: int) -> list[Tensor]:
        """One tensor `[E, rows, columns]` for each of `groups(lmax, mmax)`."""
        wider = [m for degree, m in self._matrices if degree == lmax and m > mmax]
        if wider and (lmax, mmax) not in self._matrices:
            # Rows are sorted by order: those of the lower orders come first.
            made = zip(self._matrices[lmax, min(wider)], groups(lmax, mmax), strict=True)
            self._matrices[lmax, mmax] = [d[:, : len(group.rows)] for d, group in made]
        elif (lmax, mmax) not in self._matrices:
            self.add(lmax, mmax, _frame_matrices(lmax, mmax, self.directions.dtype, self.directions.device))
        return self._matrices[lmax, mmax]

    def add(self, lmax: int, mmax: int, make: FrameMatrices) -> None:
        """Makes the matrices of one kind with a module that has their constants."""
        if (lmax, mmax) not in self._matrices:
            self._matrices[lmax, mmax] = make(self.directions)
            if len(make.generators) > len(self.generators):
                self.generators = make.generators
