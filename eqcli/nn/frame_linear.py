"""Linear maps in the frame of an edge: all that commute with turns about it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.edge_turn import frame

Orders = list[Tensor]
"""Features in the frame by order m: `[E, 1, n_0 C]` for m = 0 and `[E, 2, n_m C]`, +m and -m, for the others."""


def split_orders(z: Tensor, lmax: int, mmax: int) -> Orders:
    """`[E, rows, C]` from :func:`eqcli.geometry.edge_turn.into_frame`, order by order."""
    group, channels = frame(lmax, mmax), z.shape[2]
    signs = [1 if m == 0 else 2 for m in range(group.mmax + 1)]
    widths = [group.count(m) * channels for m in range(group.mmax + 1)]
    parts = z.flatten(1).split([s * w for s, w in zip(signs, widths, strict=True)], dim=1)
    return [part.unflatten(1, (s, w)) for part, s, w in zip(parts, signs, widths, strict=True)]


def join_orders(orders: Orders, channels: int) -> Tensor:
    """The inverse of :func:`split_orders`, `[E, rows, channels]`."""
    return torch.cat([part.flatten(1) for part in orders], dim=1).unflatten(1, (-1, channels))


class FrameLinear(nn.Module):
    """y_m = W_m (f_m * x_m): at each order all degrees and channels mix (Passaro and Zitnick, ICML 2023, eq. 7).

    Weights are standard normal and divided by the root of the fan-in when used.

    Parameters
    ----------
    lmax, mmax
        Highest degree and order of input and result.
    lmax_out
        Highest degree of the result where it is another.
    channels_in, channels_out
        Of every degree.
    scalars
        Further results of order 0.
    parity
        With it the weights are real, and the map respects reflections of features of natural parity; without it
        they are complex for m > 0, as published, and the map respects rotations alone.
    """

    def __init__(
        self,
        lmax: int,
        mmax: int,
        channels_in: int,
        channels_out: int,
        *,
        lmax_out: int | None = None,
        scalars: int = 0,
        parity: bool = True,
    ) -> None:
        super().__init__()
        group, group_out = frame(lmax, mmax), frame(lmax if lmax_out is None else lmax_out, mmax)
        self.scalars, self.parity = scalars, parity
        orders = range(min(group.mmax, group_out.mmax) + 1)
        self.factor_sizes = [group.count(m) * channels_in for m in orders]
        sizes_out = [group_out.count(m) * channels_out + (0 if m else scalars) for m in orders]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(1 if parity or m == 0 else 2, self.factor_sizes[m], sizes_out[m])) for m in orders
        )
        self.bias = nn.Parameter(torch.zeros(sizes_out[0]))

    @property
    def factor_numel(self) -> int:
        """Numbers in `factor`: one for each order, degree and channel of the input, shared by +m and -m."""
        return sum(self.factor_sizes)

    def forward(self, orders: Orders, factor: Tensor | None = None) -> tuple[Tensor, Orders]:
        """Features and `factor [E, factor_numel]` -> further scalars `[E, scalars]` and features."""
        if factor is not None:
            factors = factor.unsqueeze(1).split(self.factor_sizes, dim=2)
            orders = [x * f for x, f in zip(orders, factors, strict=True)]
        first = torch.addmm(self.bias, orders[0].flatten(1), self._matrix(0))
        scalars, zero = first.split([self.scalars, first.shape[1] - self.scalars], dim=1)
        return scalars, [zero.unsqueeze(1), *(self._mixed(orders[m], m) for m in range(1, len(self.weights)))]

    def _mixed(self, x: Tensor, m: int) -> Tensor:
        matrix = self._matrix(m)
        if self.parity:
            return (x.reshape(-1, x.shape[2]) @ matrix).unflatten(0, (-1, 2))
        return (x.flatten(1) @ matrix).unflatten(1, (2, -1))

    def _matrix(self, m: int) -> Tensor:
        """`[in, out]`, for complex weights that of both signs, `[2 in, 2 out]`."""
        weight = self.weights[m]
        scaled = weight * (weight.shape[0] * weight.shape[1]) ** -0.5
        if len(scaled) == 1:
            return scaled[0]
        real, imag = scaled.unbind()
        return torch.cat([torch.cat([real, imag], dim=1), torch.cat([-imag, real], dim=1)])
