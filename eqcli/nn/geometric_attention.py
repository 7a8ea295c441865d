"""Attention among points that knows their distances and angles, and between two sets of points.

Qin et al., Geometric Transformer, CVPR 2022: pairs of points are embedded by their distance, and by the angles with
the nearest neighbours of the first; what is learned of them is added to the keys. No rigid motion changes anything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def waves(values: Tensor, channels: int) -> Tensor:
    """Sines and cosines of `values [...]` at `channels / 2` falling frequencies, `[..., channels]`."""
    steps = torch.arange(channels // 2, dtype=values.dtype, device=values.device)
    angles = values.unsqueeze(-1) * torch.exp(steps * (-2 * math.log(10000.0) / channels))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class PairGeometry(nn.Module):
    """Embeds every pair of points of one set: `[n, 3]` -> `[n, n, channels]`.

    Parameters
    ----------
    channels
        Even.
    distance
        A distance of this is one unit.
    angle
        Degrees; an angle of this is one unit.
    triplets
        Nearest points of the first of a pair that angles are taken with; fewer where there are fewer points.
    """

    def __init__(self, channels: int, distance: float, angle: float, triplets: int) -> None:
        super().__init__()
        self.channels, self.distance, self.angle, self.triplets = channels, distance, angle, triplets
        self.of_distance = nn.Linear(channels, channels)
        self.of_angle = nn.Linear(channels, channels)

    def forward(self, points: Tensor) -> Tensor:
        offsets = points.unsqueeze(0) - points.unsqueeze(1)
        lengths = (offsets.square().sum(-1) + 1e-12).sqrt()
        embedded: Tensor = self.of_distance(waves(lengths / self.distance, self.channels))
        count = min(self.triplets, len(points) - 1)
        if count < 1:
            return embedded
        nearest = lengths.topk(count + 1, dim=1, largest=False).indices[:, 1:]
        beside = torch.gather(offsets, 1, nearest.unsqueeze(-1).expand(-1, -1, 3))
        angles = _angles(beside.unsqueeze(1), offsets.unsqueeze(2)) / math.radians(self.angle)
        seen: Tensor = self.of_angle(waves(angles, self.channels)).amax(2)
        return embedded + seen


def _angles(first: Tensor, second: Tensor) -> Tensor:
    """Angles between vectors, radians; stable near 0 and pi."""
    first, second = torch.broadcast_tensors(first, second)
    cross = torch.linalg.cross(first, second, dim=-1)
    return torch.atan2((cross.square().sum(-1) + 1e-12).sqrt(), (first * second).sum(-1))


class GeometricAttention(nn.Module):
    """One layer of attention with a feed-forward network behind it; both add to their input, at first nothing.

    Features pass unchanged until something is learned: what tells points apart is there from the start.

    Parameters
    ----------
    channels, heads
        Of the features; the heads divide the channels.
    geometry
        Whether pairs have an embedding.
    """

    def __init__(self, channels: int, heads: int, *, geometry: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.join = nn.Linear(channels, channels)
        self.pair = nn.Linear(channels, channels, bias=False) if geometry else None
        self.first_norm, self.second_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        last = nn.Linear(2 * channels, channels)
        self.forward_net = nn.Sequential(nn.Linear(channels, 2 * channels), nn.ReLU(), last)
        for layer in (self.join, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, others: Tensor, pairs: Tensor | None = None) -> Tensor:
        """Features `[n, C]` that listen to `others [m, C]`; pairs `[n, m, C]`."""
        own, heard_of = self.first_norm(features), self.first_norm(others)
        query, key, value = (
            layer(x).view(len(x), self.heads, -1)
            for layer, x in ((self.query, own), (self.key, heard_of), (self.value, heard_of))
        )
        logits = torch.einsum("nhc,mhc->hnm", query, key)
        if self.pair is not None:
            assert pairs is not None
            # The query is carried to the embeddings, of which there are many, not they to it.
            carried = torch.einsum("nhc,hcd->nhd", query, self.pair.weight.view(self.heads, -1, pairs.shape[-1]))
            logits = logits + torch.einsum("nhd,nmd->hnm", carried, pairs)
        weights = (logits / query.shape[-1] ** 0.5).softmax(-1)
        heard = torch.einsum("hnm,mhc->nhc", weights, value).flatten(1)
        features = features + self.join(heard)
        result: Tensor = features + self.forward_net(self.second_norm(features))
        return result


class GeometricTransformer(nn.Module):
    """Alternates attention within two sets of points and between them.

    Parameters
    ----------
    n_in, channels
        Of the features that are given, and of those inside and returned.
    heads, blocks
        Of attention; a block is one layer within and one between.
    distance, angle, triplets
        See :class:`PairGeometry`.
    """

    def __init__(
        self, n_in: int, channels: int, heads: int, blocks: int, distance: float, angle: float, triplets: int
    ) -> None:
        super().__init__()
        self.geometry = PairGeometry(channels, distance, angle, triplets)
        self.enter = nn.Linear(n_in, channels)
        self.within = nn.ModuleList(GeometricAttention(channels, heads, geometry=True) for _ in range(blocks))
        self.between = nn.ModuleList(GeometricAttention(channels, heads, geometry=False) for _ in range(blocks))
        self.leave = nn.Linear(channels, channels)

    def forward(
        self, first: Tensor, second: Tensor, first_points: Tensor, second_points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features `[n, n_in]` and `[m, n_in]` of points `[n, 3]` and `[m, 3]` -> `[n, C]` and `[m, C]`."""
        a, b = self.enter(first), self.enter(second)
        pairs_a, pairs_b = self.geometry(first_points), self.geometry(second_points)
        for within, between in zip(self.within, self.between, strict=True):
            a, b = within(a, a, pairs_a), within(b, b, pairs_b)
            a = between(a, b)
            b = between(b, a)
        return self.leave(a), self.leave(b)
