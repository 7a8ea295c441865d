"""Layers of vector features: lists of vectors in space that turn with what they describe.

Features are `[..., 3, C]`, the C vectors in columns, so that a mixture of channels is one matrix product. All layers
commute with rotations; what is not odd in the vectors commutes with reflections too.
Deng et al., Vector Neurons, ICCV 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SOFT = 0.2
"""Axes of frames fade below this length; vectors of features have lengths of about 1."""

TINY = 1e-8
"""Added to squared lengths before they divide."""


class VectorLinear(nn.Module):
    """Mixes the channels of vectors: `[..., 3, n_in]` -> `[..., 3, n_out]`."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / n_in**0.5)

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.nn.functional.linear(vectors, self.weight)


class VectorLeakyReLU(nn.Module):
    """Cuts the part of each vector against a learned direction down to `slope` of it."""

    def __init__(self, channels: int, slope: float = 0.2) -> None:
        super().__init__()
        self.direction = VectorLinear(channels, channels)
        self.slope = slope

    def forward(self, vectors: Tensor) -> Tensor:
        direction = self.direction(vectors)
        along = (vectors * direction).sum(-2, keepdim=True).clamp(max=0.0)
        length = direction.square().sum(-2, keepdim=True) + TINY
        return vectors - (1 - self.slope) * along / length * direction


class VectorNorm(nn.Module):
    """Scales the vectors of each point so that their lengths have a mean square of 1, then each channel by a weight."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, vectors: Tensor) -> Tensor:
        square = vectors.square().sum(-2, keepdim=True).mean(-1, keepdim=True)
        return vectors * torch.rsqrt(square + TINY) * self.weight


class InvariantHead(nn.Module):
    """Numbers that no rotation changes, from vectors: `[..., 3, C]` -> `[..., 5 C]`.

    Coordinates in a right-handed frame made of the vectors, which tell mirror images apart; lengths; and products of
    two mixtures of them, which are steady where noise turns the frame.
    """

    def __init__(self, channels: int, slope: float = 0.2) -> None:
        super().__init__()
        self.axes = nn.Sequential(
            VectorLinear(channels, channels), VectorLeakyReLU(channels, slope), VectorLinear(channels, 2)
        )
        self.mixtures = VectorLinear(channels, 2 * channels)

    def forward(self, vectors: Tensor) -> Tensor:
        frame = orthonormal(self.axes(vectors), soft=SOFT)
        lengths = (vectors.square().sum(-2) + TINY).sqrt()
        first, second = self.mixtures(vectors).chunk(2, dim=-1)
        coordinates = (frame.transpose(-1, -2) @ vectors).flatten(-2)
        return torch.cat([coordinates, lengths, (first * second).sum(-2)], dim=-1)

    @staticmethod
    def size(channels: int) -> int:
        """Numbers for so many vectors."""
        return 5 * channels


def orthonormal(vectors: Tensor, soft: float = 0.0) -> Tensor:
    """Right-handed orthonormal frame `[..., 3, 3]`, axes in columns, of two vectors `[..., 3, 2]` (Gram-Schmidt).

    With `soft` above 0, axes of vectors that are not much longer than it are shorter than 1, and have a gradient that
    stays small: a frame fades where nothing determines it.
    """
    first = unit(vectors[..., 0], soft=soft)
    second = vectors[..., 1]
    second = unit(second - (second * first).sum(-1, keepdim=True) * first, soft=soft)
    return torch.stack([first, second, torch.linalg.cross(first, second, dim=-1)], dim=-1)


def unit(vectors: Tensor, dim: int = -1, soft: float = 0.0) -> Tensor:
    """Vectors along `dim` scaled to length 1; those of no length stay so, those of length `soft` to 0.7."""
    return vectors * torch.rsqrt(vectors.square().sum(dim, keepdim=True) + soft**2 + TINY**2)
