"""Which channel and which irrep each number of a spherical tensor belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.irreps import Irrep, Irreps, Shape, shapes


def scalar_places(irreps: Irreps) -> Tensor:
    """Places of the true scalars (0e) among the numbers of a tensor, int64."""
    slices = zip(irreps, irreps.slices(), strict=True)
    ranges = [torch.arange(s.start, s.stop) for (_, ir), s in slices if ir == Irrep("0e")]
    return torch.cat(ranges) if ranges else torch.zeros(0, dtype=torch.int64)


def channel_places(irreps: Irreps) -> Tensor:
    """For each number of a tensor the channel that it belongs to, counted through all entries; int64."""
    ranges, start = [torch.zeros(0, dtype=torch.int64)], 0
    for mul, ir in irreps:
        ranges.append(torch.arange(start, start + mul).repeat(ir.dim))
        start += mul
    return torch.cat(ranges)


def channel_shapes(irreps: Irreps) -> list[Shape]:
    """Components and channels of the fewest blocks that make up the tensor: one when all entries have C channels."""
    if len({mul for mul, _ in irreps}) == 1:
        return [(sum(ir.dim for _, ir in irreps), int(irreps[0].mul))]
    return shapes(irreps)
