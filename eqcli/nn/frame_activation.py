"""Nonlinearities of features in the frame of an edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.edge_turn import frame
from eqcli.geometry.sphere_grid import SphereGrid
from eqcli.nn.activation import SILU_SCALE, activation, scaled_silu
from eqcli.nn.frame_linear import Orders, join_orders, split_orders
from eqcli.nn.s2_activation import degree_scales

GATE = activation("sigmoid").scale
"""Scale of the sigmoid to unit second moment."""


def gates(scalars: Tensor, others: Tensor) -> Tensor:
    """Factors that activate scalars and gate other degrees, `[..., C]` and `[..., lmax C]` -> `[..., (lmax+1) C]`.

    A scalar s has the factor sigmoid(s), so that s times it is SiLU(s); all are scaled to unit second moment.
    """
    scales = torch.cat([scalars.new_full(scalars.shape[-1:], SILU_SCALE), others.new_full(others.shape[-1:], GATE)])
    return torch.sigmoid(torch.cat([scalars, others], dim=-1)) * scales


class FrameGate(nn.Module):
    """SiLU of scalars; each channel of each degree l > 0 times the sigmoid of a scalar. Exactly equivariant.

    Attributes
    ----------
    scalars
        How many further scalars it takes.
    """

    def __init__(self, lmax: int, mmax: int, channels: int) -> None:
        super().__init__()
        self.channels, self.scalars = channels, lmax * channels

    def forward(self, orders: Orders, scalars: Tensor) -> Orders:
        """Features and `[E, scalars]` -> features."""
        factors = gates(orders[0][:, 0, : self.channels], scalars).unsqueeze(1)
        # Order m has the degrees from m on.
        return [x * (factors[..., m * self.channels :] if m else factors) for m, x in enumerate(orders)]


class FrameS2Activation(ConstantModule):
    """SiLU at points of the sphere, in the frame; scalars through a SiLU of their own (EquiformerV2, sec. 4.3).

    Only approximately equivariant: of the orders beyond mmax that the SiLU makes, the points about the edge take
    some for lower ones, which then turn with the roll of the frame. The error falls with the resolution.

    Parameters
    ----------
    lmax, mmax, channels
        Of input and result.
    resolution
        Points in the polar angle; one more than twice as many about the edge.
    separable
        Scalars come from `scalars`, not from the sphere.
    """

    synthesis: Tensor
    analysis: Tensor

    def __init__(self, lmax: int, mmax: int, channels: int, resolution: int, *, separable: bool = True) -> None:
        super().__init__()
        self.lmax, self.mmax, self.channels = lmax, mmax, channels
        self.scalars = channels if separable else 0
        rows = frame(lmax, mmax).rows
        places = [degree * (degree + 1) + m for degree, m in rows]
        synthesis, analysis = grid_matrices(lmax, resolution)
        scales = torch.tensor([degree_scales("silu", lmax)[degree] for degree, _ in rows], dtype=torch.float64)
        # Coefficients of unit variance give values whose mean variance is the number of rows.
        self.register_constant("synthesis", synthesis[:, places] * len(rows) ** -0.5)
        self.register_constant("analysis", analysis[places] * scales.unsqueeze(1))

    def forward(self, orders: Orders, scalars: Tensor) -> Orders:
        """Features and `[E, scalars]` -> features."""
        values = torch.nn.functional.silu(self.synthesis @ join_orders(orders, self.channels))
        found = split_orders(self.analysis @ values, self.lmax, self.mmax)
        if self.scalars:
            found[0] = torch.cat([scaled_silu(scalars).unsqueeze(1), found[0][..., self.channels :]], dim=2)
        return found


def grid_matrices(lmax: int, resolution: int) -> tuple[Tensor, Tensor]:
    """Coefficients to values and back, `[points, (lmax+1)^2]` and `[(lmax+1)^2, points]` float64."""
    grid = SphereGrid(lmax, resolution, 2 * resolution + 1).double()
    values = grid.to_grid(torch.eye((lmax + 1) ** 2, dtype=torch.float64)).flatten(0, 1)
    each = torch.eye(grid.points, dtype=torch.float64).unflatten(0, (resolution, -1))
    return values, grid.from_grid(each)


def frame_activation(
    name: str, lmax: int, mmax: int, channels: int, resolution: int, *, separable: bool
) -> FrameGate | FrameS2Activation:
    """`gate` or `s2-grid`."""
    if name == "gate":
        return FrameGate(lmax, mmax, channels)
    return FrameS2Activation(lmax, mmax, channels, resolution, separable=separable)
