"""Real spherical harmonics as polynomials of the direction."""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.constants import ConstantModule


class SphericalHarmonics(ConstantModule):
    """Y_0 .. Y_lmax of unit vectors, `[.., 3] -> [.., (lmax+1)^2]`.

    Component normalisation: the squares of the 2l+1 components of each degree add up to 2l+1. Vectors r of
    other length give the regular solid harmonics |r|^l Y_l(r / |r|): homogeneous polynomials, smooth at the origin too.

    Each degree is made from the one before by coupling it with r, which loses no digits near the poles, where the
    recursion in the degree at fixed order does; row by row, with the vectors last, since few coefficients are not zero.
    A derivative of a solid harmonic is a combination of at most two of the degree below, so derivatives of any
    order are made of values alone; they exist everywhere, the poles included.
    """

    source: Tensor
    factor: Tensor

    def __init__(self, lmax: int) -> None:
        super().__init__()
        if lmax < 0:
            raise ValueError(f"degrees begin at 0, got lmax = {lmax}")
        self.lmax = lmax
        for degree in range(2, lmax + 1):
            self.register_constant(f"raising_{degree}", _raising_columns(degree))
        gradient = _gradient_terms(lmax)
        self.register_buffer("source", gradient.source, persistent=False)
        self.register_constant("factor", gradient.factor)

    def forward(self, directions: Tensor) -> Tensor:
        if directions.shape[-1:] != (3,):
            raise ValueError(f"spherical harmonics take vectors [..., 3], got the shape {tuple(directions.shape)}")
        self.check_precision(directions)
        if self.lmax == 0:
            return torch.ones_like(directions[..., :1])
        values: Tensor = _Values.apply(directions.reshape(-1, 3), self)
        return values.reshape(*directions.shape[:-1], values.shape[1])

    def values(self, vectors: Tensor) -> Tensor:
        """The harmonics of `[E, 3]`, `[E, (lmax+1)^2]`, without a graph."""
        columns = vectors.T.contiguous()
        x, y, z = columns.unbind(0)
        out = vectors.new_empty((self.lmax + 1) ** 2, vectors.shape[0])
        out[0] = 1.0
        torch.mul(columns, sqrt(3), out=out[1:4])
        for degree in range(2, self.lmax + 1):
            below, rows = out[(degree - 1) ** 2 : degree**2], out[degree**2 : (degree + 1) ** 2]
            same, up, down, up_turned, down_turned = getattr(self, f"raising_{degree}").unbind(0)
            rows[0], rows[-1] = 0.0, 0.0
            torch.mul(below, y, out=rows[1:-1]).mul_(same)
            along = below * z
            rows[2:].addcmul_(along, up)
            rows[:-2].addcmul_(along, down)
            along = (below * x).flip(0)
            rows[2:].addcmul_(along, up_turned)
            rows[:-2].addcmul_(along, down_turned)
        return out.T.contiguous()

    def pull_back(self, gradient: Tensor, values: Tensor) -> Tensor:
        """Gradient `[E, 3]` with respect to the vectors, from that of the values and the values, `[E, (lmax+1)^2]`."""
        rows = gradient.T.contiguous()
        lower = values[:, : self.lmax**2].T.contiguous()
        terms = [rows.index_select(0, s) for s in self.source.unbind(0)]
        fx, fx2, fy, fz, fz2 = self.factor.unbind(0)
        by_x = torch.addcmul(terms[0] * fx, terms[1], fx2)
        by_z = torch.addcmul(terms[3] * fz, terms[4], fz2)
        return torch.stack([(t * lower).sum(0) for t in (by_x, terms[2] * fy, by_z)], dim=1)


class _Values(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, harmonics: SphericalHarmonics) -> Tensor:
        values = harmonics.values(vectors)
        ctx.harmonics = harmonics
        # As an output it keeps its place in the graph: second derivatives pass through it.
        ctx.save_for_backward(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (values,) = ctx.saved_tensors
        return ctx.harmonics.pull_back(gradients[0], values), None


@cache
def _raising_columns(degree: int) -> Tensor:
    """Coefficients of Y_l = sum of r_i Y_(l-1)n, `[5, 2l-1, 1]` for the row n of the degree below.

    In turn: y to m = n, z to m = n + 1 and n - 1, x to m = -n' + 1 and -n' - 1 of the reversed rows n' = -n.
    """
    raising = _coupling(degree) / degree  # r . grad Y_l = l Y_l (Euler)
    n = torch.arange(2 * degree - 1)
    along_x = raising[:, 0].flip(0)
    parts = [raising[n, 1, n + 1], raising[n, 2, n + 2], raising[n, 2, n], along_x[n, n + 2], along_x[n, n]]
    return torch.stack(parts).unsqueeze(-1)


class _GradientTerms(NamedTuple):
    """The at most two harmonics whose derivative along x, one along y, two along z holds each one of lower degree.

    `source [5, lmax^2]` are their indices, `factor [5, lmax^2, 1]` the coefficients.
    """

    source: Tensor
    factor: Tensor


@cache
def _gradient_terms(lmax: int) -> _GradientTerms:
    source = torch.zeros(5, lmax**2, dtype=torch.long)
    factor = torch.zeros(5, lmax**2, 1, dtype=torch.float64)
    for degree in range(1, lmax + 1):
        derivative = _coupling(degree)
        for axis, slots in enumerate(((0, 1), (2,), (3, 4))):
            for lower in range(2 * degree - 1):
                found = derivative[lower, axis].abs().gt(1e-10).nonzero().flatten().tolist()
                for slot, upper in zip(slots, found, strict=False):
                    source[slot, (degree - 1) ** 2 + lower] = degree**2 + upper
                    factor[slot, (degree - 1) ** 2 + lower] = derivative[lower, axis, upper]
    return _GradientTerms(source, factor)


@cache
def _coupling(degree: int) -> Tensor:
    """D with `dY_lm / dr_i = sum_n D[n, i, m] Y_(l-1)n`, `[2l-1, 3, 2l+1]` float64.

    The only invariant tensor of this shape is the coupling of l - 1 and 1 to l; its factor
    follows at the pole, where only m = 0 is not zero and dY_l / dr = l Y_l (Euler).
    """
    coupling = clebsch_gordan(degree - 1, 1, degree)
    at_pole = coupling[degree - 1, 1, degree] * sqrt(2 * degree - 1)
    return coupling * (degree * sqrt(2 * degree + 1) / at_pole)
