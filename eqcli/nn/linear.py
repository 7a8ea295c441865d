"""Equivariant linear maps between any irreps."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import Irreps, join, shapes, split_blocks
from eqcli.nn.channels import scalar_places
from eqcli.nn.element_linear import mix_channels


class _Type(NamedTuple):
    """One type of irrep: its name, 2l+1, and the entries of input and result that have it."""

    name: str
    dim: int
    entries_in: list[int]
    entries_out: list[int]


class EquivariantLinear(nn.Module):
    """One matrix over channels for each irrep type, `[..., irreps_in.dim] -> [..., irreps_out.dim]`.

    By Schur's lemma these are all linear equivariant maps. Weights are standard normal and divided by the
    root of the number of input channels of their type when used, so that the variance is kept (the "element"
    normalisation of e3nn). Irreps that the input does not have come out as zero.

    Parameters
    ----------
    irreps_in, irreps_out
        One type may stand in several places: all its channels are mixed. `weights[type]` is
        `[channels in, channels out]`, channels in the order of the entries.
    bias
        Adds a learned constant, zero at first, to each true scalar (0e) of the result.
    """

    scalars: Tensor

    def __init__(self, irreps_in: Irreps | str, irreps_out: Irreps | str, *, bias: bool = False) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = Irreps(irreps_in), Irreps(irreps_out)
        self._shapes_in, self._shapes_out = shapes(self.irreps_in), shapes(self.irreps_out)
        self._types = _shared_types(self.irreps_in, self.irreps_out)
        self.weights = nn.ParameterDict()
        for name, _, entries_in, entries_out in self._types:
            size_in = sum(self._shapes_in[i][1] for i in entries_in)
            size_out = sum(self._shapes_out[i][1] for i in entries_out)
            self.weights[name] = nn.Parameter(torch.randn(size_in, size_out))
        self.register_buffer("scalars", scalar_places(self.irreps_out), persistent=False)
        self.bias = nn.Parameter(torch.zeros(len(self.scalars))) if bias else None
        self._uniform = _is_uniform(self.irreps_in, self.irreps_out)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])
        out = self._all_at_once(rows) if self._uniform else self._by_type(rows)
        if self.bias is not None:
            out = out + self.bias.new_zeros(out.shape[1]).index_copy(0, self.scalars, self.bias)
        return out.view(*x.shape[:-1], out.shape[1])

    def _weight(self, name: str) -> Tensor:
        weight: Tensor = self.weights[name]
        return weight * max(weight.shape[0], 1) ** -0.5

    def _all_at_once(self, x: Tensor) -> Tensor:
        weights = [self._weight(kind.name) for kind in self._types]
        dims = [kind.dim for kind in self._types]
        return mix_channels(x.unflatten(1, (-1, self._shapes_in[0][1])), weights, dims).flatten(1)

    def _by_type(self, x: Tensor) -> Tensor:
        blocks = split_blocks(x, self._shapes_in)
        results = [x.new_zeros(len(x), *shape) for shape in self._shapes_out]
        for name, dim, entries_in, entries_out in self._types:
            parts = [blocks[i] for i in entries_in]
            mixed = mix_channels(torch.cat(parts, 2) if len(parts) > 1 else parts[0], [self._weight(name)], [dim])
            sizes = [self._shapes_out[i][1] for i in entries_out]
            for i, part in zip(entries_out, mixed.split(sizes, dim=2), strict=True):
                results[i] = part
        return join(results) if results else x.new_zeros(len(x), 0)


def _shared_types(irreps_in: Irreps, irreps_out: Irreps) -> list[_Type]:
    """The types that both sides have, in the order of the result."""
    types = [ir for ir in dict.fromkeys(ir for _, ir in irreps_out) if ir in [other for _, other in irreps_in]]
    return [
        _Type(str(ir), int(ir.dim), *([i for i, (_, o) in enumerate(s) if o == ir] for s in (irreps_in, irreps_out)))
        for ir in types
    ]


def _is_uniform(irreps_in: Irreps, irreps_out: Irreps) -> bool:
    """Whether both sides have the same types in the same order, each once and all equally often."""
    types = [ir for _, ir in irreps_in]
    alike = types == [ir for _, ir in irreps_out] and len(set(types)) == len(types)
    return alike and all(len({mul for mul, _ in irreps}) == 1 for irreps in (irreps_in, irreps_out))
