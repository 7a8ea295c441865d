"""The position-aware rotation-equivariant convolution of PARE-Net (Yao et al., ECCV 2024, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.nn.vector_neurons import VectorLeakyReLU, VectorLinear, VectorNorm, unit

LOCAL = 3
"""Vectors that tell where a neighbour lies: its offset, the mean offset, and their cross product."""


class KernelScores(nn.Module):
    """How much of each kernel a neighbour gets, from where it lies and no rotation changes.

    Parameters
    ----------
    channels
        Of the hidden layers.
    kernels
        How many there are.
    """

    def __init__(self, channels: int, kernels: int) -> None:
        super().__init__()
        self.mix = VectorLinear(LOCAL, channels)
        self.choose = nn.Sequential(
            nn.Linear(channels, channels), nn.LeakyReLU(0.2), nn.Linear(channels, kernels), nn.Softmax(dim=-1)
        )

    def forward(self, local: Tensor) -> Tensor:
        """Local vectors `[n, k, 3, 3]`, the last axis counting them -> `[n, k, kernels]`, which sum to 1."""
        offset, mean, cross = local.unbind(-1)
        # The square of a mixture's length, from the products of the three vectors; the cross product is normal to both.
        products = torch.stack([_dot(offset, offset), _dot(offset, mean), _dot(mean, mean), _dot(cross, cross)], dim=-1)
        w = self.mix.weight
        squares = products @ torch.stack([w[:, 0] ** 2, 2 * w[:, 0] * w[:, 1], w[:, 1] ** 2, w[:, 2] ** 2])
        scores: Tensor = self.choose((squares.clamp(min=0.0) + 1e-12).sqrt())
        return scores


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(-1)


class PareConvolution(nn.Module):
    """Vector features of points from those of their neighbours.

    For a point q: the mean over neighbours j of `unit(sum_m s_jm W_m [v_j - v_q, v_j, u_j])`, u_j the local vectors and
    s_jm the scores of the kernels.

    Parameters
    ----------
    n_in, n_out
        Vector channels.
    kernels, position_channels
        See :class:`KernelScores`.
    """

    def __init__(self, n_in: int, n_out: int, kernels: int, position_channels: int) -> None:
        super().__init__()
        self.kernels, self.n_out = kernels, n_out
        self.scores = KernelScores(position_channels, kernels)
        # W_m [v_j - v_q, v_j, u_j] = N_m v_j - C_m v_q + L_m u_j: the first two are made once for each point.
        self.neighbour = VectorLinear(n_in, kernels * n_out)
        self.centre = VectorLinear(n_in, kernels * n_out)
        self.offset = VectorLinear(LOCAL, n_out)

    def forward(self, vectors: Tensor, centres: Tensor, local: Tensor, neighbours: Tensor) -> Tensor:
        """Vectors of the points `[N, 3, n_in]` and of the queries `[n, 3, n_in]` -> `[n, 3, n_out]`.

        Parameters
        ----------
        local
            `[n, k, 3, 3]`, see :func:`local_vectors`.
        neighbours
            `[n, k]`, points around each query.
        """
        n, k = neighbours.shape
        scores = self.scores(local)
        of_kernels = (len(vectors), 3, self.kernels, self.n_out)
        near = self.neighbour(vectors).view(of_kernels).transpose(1, 2).flatten(1)
        near = near.index_select(0, neighbours.reshape(-1)).view(n * k, self.kernels, -1)
        near = torch.bmm(scores.view(n * k, 1, -1), near).view(n, k, 3, self.n_out)
        own = self.centre(centres).view(n, 3, self.kernels, self.n_out).transpose(1, 2).flatten(2)
        own = torch.bmm(scores, own).view(n, k, 3, self.n_out)
        return unit(near - own + self.offset(local), dim=-2).mean(1)


def local_vectors(queries: Tensor, points: Tensor, neighbours: Tensor, scale: float) -> Tensor:
    """Offset, mean offset and their cross product of each neighbour, `[n, k, 3, 3]`, the last axis counting them.

    Parameters
    ----------
    queries, points
        `[n, 3]` and `[N, 3]`.
    neighbours
        `[n, k]`, indices of points.
    scale
        Length that offsets are divided by.
    """
    offset = (points[neighbours] - queries.unsqueeze(1)) / scale
    mean = offset.mean(1, keepdim=True).expand_as(offset)
    return torch.stack([offset, mean, torch.linalg.cross(offset, mean, dim=-1)], dim=-1)


class PareBlock(nn.Module):
    """A convolution with a bottleneck, an activation and a shortcut; the queries may be fewer than the points."""

    def __init__(self, n_in: int, n_out: int, kernels: int, position_channels: int, slope: float) -> None:
        super().__init__()
        narrow = max(n_out // 2, 1)
        self.convolution = PareConvolution(n_in, narrow, kernels, position_channels)
        self.widen = nn.Sequential(VectorLeakyReLU(narrow, slope), VectorLinear(narrow, n_out))
        self.shortcut = VectorLinear(n_in, n_out)
        self.out = nn.Sequential(VectorLeakyReLU(n_out, slope), VectorNorm(n_out))

    def forward(self, vectors: Tensor, centres: Tensor, local: Tensor, neighbours: Tensor) -> Tensor:
        """Vectors of the points `[N, 3, n_in]` and of the queries `[n, 3, n_in]` -> `[n, 3, n_out]`."""
        turned = self.widen(self.convolution(vectors, centres, local, neighbours))
        summed: Tensor = self.out(turned + self.shortcut(centres))
        return summed
