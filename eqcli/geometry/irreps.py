"""Spherical tensors: which irreducible representations a tensor holds, and in what order its numbers lie.

e3nn's `Irreps` does the bookkeeping: "16x0e+8x1o" is 16 scalars and 8 vectors. The
numbers of `mul` copies of one irrep of degree l lie as `[2l+1, mul]`, components
first and channels last, so that every operation runs along contiguous channels; e3nn
has them as `[mul, 2l+1]`, and :func:`to_e3nn` and :func:`from_e3nn` translate. When every
irrep has the same multiplicity C, the last dimension may be viewed as `[components, C]`.
"""

from __future__ import annotations

import torch
from e3nn.o3 import Irrep, Irreps
from torch import Tensor

__all__ = [
    "Irrep",
    "Irreps",
    "Shape",
    "blocks",
    "from_e3nn",
    "join",
    "natural",
    "shapes",
    "split_blocks",
    "to_e3nn",
    "uniform_multiplicity",
]

Shape = tuple[int, int]
"""2l+1 and multiplicity of one entry."""


def natural(lmax: int, channels: int = 1) -> Irreps:
    """Degrees 0 .. lmax with the parity (-1)^l of spherical harmonics, each `channels` times."""
    return Irreps([(channels, (degree, (-1) ** degree)) for degree in range(lmax + 1)])


def uniform_multiplicity(irreps: Irreps) -> int:
    """The multiplicity C that all irreps share. Raises ValueError when they differ or there is none."""
    found = {mul for mul, _ in irreps}
    if len(found) != 1:
        raise ValueError(f"all irreps need the same multiplicity here, got {irreps}")
    return int(found.pop())


def blocks(x: Tensor, irreps: Irreps) -> list[Tensor]:
    """Views `[..., 2l+1, mul]` of a tensor `[..., irreps.dim]`, one for each entry of `irreps`."""
    return split_blocks(x, shapes(irreps))


def shapes(irreps: Irreps) -> list[Shape]:
    """2l+1 and multiplicity of each entry, for :func:`split_blocks`."""
    return [(int(ir.dim), int(mul)) for mul, ir in irreps]


def split_blocks(x: Tensor, entries: list[Shape]) -> list[Tensor]:
    """:func:`blocks` from :func:`shapes`: torch.compile traces plain numbers where it cannot trace `Irreps`."""
    parts = x.split([dim * mul for dim, mul in entries], dim=-1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, entries, strict=True)]


def join(parts: list[Tensor]) -> Tensor:
    """`[..., irreps.dim]` from blocks `[..., 2l+1, mul]`: the inverse of :func:`blocks`."""
    flat = [part.flatten(-2) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=-1)


def to_e3nn(x: Tensor, irreps: Irreps) -> Tensor:
    """The same tensor with the numbers in e3nn's order, `[..., irreps.dim]`."""
    return torch.cat([part.transpose(-1, -2).flatten(-2) for part in blocks(x, irreps)], dim=-1)


def from_e3nn(x: Tensor, irreps: Irreps) -> Tensor:
    """A tensor in e3nn's order brought into the order used here, `[..., irreps.dim]`."""
    parts = x.split([mul * ir.dim for mul, ir in irreps], dim=-1)
    turned = [
        part.unflatten(-1, (mul, ir.dim)).transpose(-1, -2) for part, (mul, ir) in zip(parts, irreps, strict=True)
    ]
    return join(turned)
