"""Normalisation of spherical tensors over their channels."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.irreps import Irrep, Irreps, join, split_blocks
from eqcli.nn.channels import channel_places, channel_shapes, scalar_places


class NormScope(StrEnum):
    """Which irreps share one root mean square."""

    DEGREE = "degree"
    """Each type of irrep has its own (Equiformer)."""
    SEPARABLE = "separable"
    """Scalars of each parity have their own, all l > 0 share one (EquiformerV2)."""
    JOINT = "joint"
    """All share one (eSEN)."""


class EquivariantLayerNorm(ConstantModule):
    """Channels divided by their root mean square, times a learned factor, `[..., irreps.dim] -> [..., irreps.dim]`.

    Where several types of irrep share a mean square it is the mean over the types of the mean square of their
    numbers, so that high degrees, which have more components, do not dominate. No mean is taken off irreps
    other than 0e: a mean over channels of vectors is equivariant but has no meaning as a shift.

    Parameters
    ----------
    irreps
        Of input and result.
    scope
        See :class:`NormScope`.
    centre
        Takes the mean over channels off true scalars (0e) and adds a learned shift, zero at first.
    affine
        Learns a factor for each channel of each entry, one at first.
    epsilon
        Added to the mean square: the gradient at zero features is at most 1 / sqrt(epsilon).
    """

    shares: Tensor
    averaging: Tensor
    scalars: Tensor
    group_of: Tensor
    channel_of: Tensor

    def __init__(
        self,
        irreps: Irreps | str,
        scope: NormScope | str = NormScope.DEGREE,
        *,
        centre: bool = True,
        affine: bool = True,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.irreps_in = self.irreps_out = Irreps(irreps)
        self.epsilon = epsilon
        self._shapes = channel_shapes(self.irreps_in)
        shares, group_of = _groups(self.irreps_in, NormScope(scope))
        self.register_constant("shares", shares)
        self.register_buffer("group_of", group_of, persistent=False)
        self.register_buffer("scalars", scalar_places(self.irreps_in), persistent=False)
        self.register_buffer("channel_of", channel_places(self.irreps_in), persistent=False)
        self.centre = centre and len(self.scalars) > 0
        if self.centre:
            self.register_constant("averaging", _averaging(self.irreps_in, self.scalars))
        self.weight = nn.Parameter(torch.ones(self.irreps_in.num_irreps)) if affine else None
        self.bias = nn.Parameter(torch.zeros(len(self.scalars))) if affine and self.centre else None

    def forward(self, x: Tensor) -> Tensor:
        if self.centre:
            x = x - (x @ self.averaging[:, :1]) * self.averaging[:, 1]
        parts = split_blocks(x, self._shapes)
        squares = torch.cat([part.square().sum(-1) for part in parts], dim=-1)  # [..., components]
        inverse = (squares @ self.shares + self.epsilon).rsqrt().index_select(-1, self.group_of)
        each = inverse.unsqueeze(-1).split([components for components, _ in self._shapes], dim=-2)
        out = join([part * factor for part, factor in zip(parts, each, strict=True)])
        if self.weight is not None:
            out = out * self.weight.index_select(0, self.channel_of)
        if self.bias is not None:
            out = out + self.bias.new_zeros(x.shape[-1]).index_copy(0, self.scalars, self.bias)
        return out


def normalised(norm: EquivariantLayerNorm, x: Tensor) -> Tensor:
    """A normalisation of features `[N, (lmax+1)^2, C]`."""
    out: Tensor = norm(x.flatten(1))
    return out.unflatten(1, x.shape[1:])


def _group(ir: Irrep, scope: NormScope) -> str:
    if scope is NormScope.DEGREE or (scope is NormScope.SEPARABLE and ir.l == 0):
        return str(ir)
    return "shared"


def _groups(irreps: Irreps, scope: NormScope) -> tuple[Tensor, Tensor]:
    """For each component of each entry: its weight in the mean of each group, `[components, groups]`, and its group."""
    names = list(dict.fromkeys(_group(ir, scope) for _, ir in irreps))
    types: dict[str, set[Irrep]] = {name: set() for name in names}
    for _, ir in irreps:
        types[_group(ir, scope)].add(ir)
    rows: list[list[float]] = []
    group_of: list[int] = []
    for _, ir in irreps:
        name = _group(ir, scope)
        share = 1.0 / (irreps.count(ir) * ir.dim * len(types[name]))
        rows.extend([[share if other == name else 0.0 for other in names]] * ir.dim)
        group_of.extend([names.index(name)] * ir.dim)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(group_of, dtype=torch.int64)


def _averaging(irreps: Irreps, scalars: Tensor) -> Tensor:
    """Columns: 1/n at the n true scalars, and 1 there, `[dim, 2]`; zero elsewhere."""
    table = torch.zeros(irreps.dim, 2, dtype=torch.float64)
    table[scalars] = torch.tensor([1.0 / len(scalars), 1.0], dtype=torch.float64)
    return table
