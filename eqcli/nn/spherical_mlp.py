"""Perceptrons on the spherical features of an atom."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import natural
from eqcli.geometry.sphere_grid import SphereGrid
from eqcli.nn.activation import scaled_silu
from eqcli.nn.frame_activation import gates
from eqcli.nn.linear import EquivariantLinear


class GatedMLP(nn.Module):
    """Linear, gate, linear, `[N, (lmax+1)^2, C] -> [N, (lmax+1)^2, C']`: exactly equivariant.

    Scalars pass a SiLU; every channel of each degree l > 0 is multiplied by the sigmoid of a scalar.
    """

    degrees: Tensor

    def __init__(self, lmax: int, channels_in: int, hidden: int, channels_out: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.up = EquivariantLinear(natural(lmax, channels_in), natural(lmax, hidden), bias=True)
        self.gates = nn.Linear(channels_in, lmax * hidden) if lmax else None
        self.down = EquivariantLinear(natural(lmax, hidden), natural(lmax, channels_out), bias=True)
        degrees = [degree for degree in range(lmax + 1) for _ in range(2 * degree + 1)]
        self.register_buffer("degrees", torch.tensor(degrees), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.up(x.flatten(1))
        if self.gates is None:
            return self.down(scaled_silu(inside)).unsqueeze(1)
        inside = inside.unflatten(1, (-1, self.hidden))
        factors = gates(inside[:, 0], self.gates(x[:, 0])).unflatten(1, (-1, self.hidden))
        gated = inside * factors.index_select(1, self.degrees)
        return self.down(gated.flatten(1)).unflatten(1, (x.shape[1], -1))


class GridMLP(nn.Module):
    """Linear, a perceptron at each point of the sphere, linear (eSCN, sec. 4.2; EquiformerV2, sec. 4.3).

    Only approximately equivariant, as :class:`eqcli.nn.s2_activation.S2Activation` is.

    Parameters
    ----------
    resolution
        Points in the polar angle; one more than twice as many about the axis.
    separable
        Scalars pass a SiLU of their own and not the sphere (EquiformerV2).
    """

    def __init__(
        self, lmax: int, channels_in: int, hidden: int, channels_out: int, resolution: int, *, separable: bool = True
    ) -> None:
        super().__init__()
        self.lmax, self.hidden = lmax, hidden
        self.grid = SphereGrid(lmax, resolution, 2 * resolution + 1)
        self.up = EquivariantLinear(natural(lmax, channels_in), natural(lmax, hidden), bias=True)
        self.scalars = nn.Linear(channels_in, hidden) if separable else None
        self.points = nn.ParameterList(nn.Parameter(torch.randn(hidden, hidden)) for _ in range(3))
        self.down = EquivariantLinear(natural(lmax, hidden), natural(lmax, channels_out), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.up(x.flatten(1)).unflatten(1, (-1, self.hidden))
        values = self.grid.to_grid(inside / (self.lmax + 1))
        first, second, third = (w * self.hidden**-0.5 for w in self.points)
        values = scaled_silu(scaled_silu(values @ first) @ second) @ third
        turned = self.grid.from_grid(values)
        if self.scalars is not None:
            turned = torch.cat([scaled_silu(self.scalars(x[:, 0])).unsqueeze(1), turned[:, 1:]], dim=1)
        return self.down(turned.flatten(1)).unflatten(1, (x.shape[1], -1))


def spherical_mlp(
    name: str, lmax: int, channels_in: int, hidden: int, channels_out: int, resolution: int, *, separable: bool = True
) -> GatedMLP | GridMLP:
    """`gate` or `s2-grid`."""
    if name == "gate":
        return GatedMLP(lmax, channels_in, hidden, channels_out)
    return GridMLP(lmax, channels_in, hidden, channels_out, resolution, separable=separable)
