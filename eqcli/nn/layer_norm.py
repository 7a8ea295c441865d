"""Normalisation of spherical tensors over their channels."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.irreps import Irrep, Irreps
from eqcli.nn.channels import channel_places, scalar_places


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
            mean, indicator = x @ self.averaging[:, :1], self.averaging[:, 1]
            x = x - mean * indicator
        inverse = (x.square() @ self.shares + self.epsilon).rsqrt()  # [..., groups]
        out = x * inverse.index_select(-1, self.group_of)
        if self.weight is not None:
            out = out * self.weight.index_select(0, self.channel_of)
        if self.bias is not None:
            out = out + self.bias.new_zeros(x.shape[-1]).index_copy(0, self.scalars, self.bias)
        return out


def _group(ir: Irrep, scope: NormScope) -> str:
    if scope is NormScope.DEGREE or (scope is NormScope.SEPARABLE and ir.l == 0):
        return str(ir)
    return "shared"


def _groups(irreps: Irreps, scope: NormScope) -> tuple[Tensor, Tensor]:
    """Weight of the square of each number in the mean of each group, `[dim, groups]`, and the group of each number."""
    names = list(dict.fromkeys(_group(ir, scope) for _, ir in irreps))
    types: dict[str, set[Irrep]] = {name: set() for name in names}
    for _, ir in irreps:
        types[_group(ir, scope)].add(ir)
    shares = torch.zeros(irreps.dim, len(names), dtype=torch.float64)
    group_of = torch.zeros(irreps.dim, dtype=torch.int64)
    for (_, ir), numbers in zip(irreps, irreps.slices(), strict=True):
        name = _group(ir, scope)
        shares[numbers, names.index(name)] = 1.0 / (irreps.count(ir) * ir.dim * len(types[name]))
        group_of[numbers] = names.index(name)
    return shares, group_of


def _averaging(irreps: Irreps, scalars: Tensor) -> Tensor:
    """Columns: 1/n at the n true scalars, and 1 there, `[dim, 2]`; zero elsewhere."""
    table = torch.zeros(irreps.dim, 2, dtype=torch.float64)
    table[scalars] = torch.tensor([1.0 / len(scalars), 1.0], dtype=torch.float64)
    return table
