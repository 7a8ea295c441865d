"""Vector features of clouds at every level of a pyramid: the encoder and decoder of PARE-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.points.pyramid import Level, Pyramid
from eqcli.graph.segments import segment_counts
from eqcli.models.pointcloud.configs.pare_net import PareNetConfig
from eqcli.models.pointcloud.pare_convolution import PareBlock, local_vectors
from eqcli.nn.vector_neurons import VectorLeakyReLU, VectorLinear, VectorNorm, unit

REACH = 3.0
"""Voxels that neighbours reach, about: their offsets are divided by it, so that features are not drowned in them."""

FLAT = 0.1
"""Voxels; vectors of shape that are longer count alike, shorter ones fade: nothing is to be read from a plane."""

SCALES = 3
"""Widths of the neighbourhoods whose shape every level starts with."""

HISTOGRAM = 33
"""Numbers of a point feature histogram."""

SEEDS = 2 * SCALES - 1
"""Vectors that tell of it, see :func:`shape_vectors`."""


class PareEncoder(nn.Module):
    """Encodes from the finest level to the last, and decodes back to the fine level."""

    def __init__(self, config: PareNetConfig) -> None:
        super().__init__()
        self.fine_level = config.fine_level
        self.levels, self.shapes = nn.ModuleList(), nn.ModuleList()
        n_in = 0
        for channels, count in zip(config.channels, config.blocks, strict=True):
            first = n_in or channels
            blocks = [
                PareBlock(c, channels, config.kernels, config.position_channels, config.slope)
                for c in [first, *[channels] * count][:count]
            ]
            self.levels.append(nn.ModuleList(blocks))
            self.shapes.append(
                nn.Sequential(VectorLinear(SEEDS + (channels if n_in else 0), channels), VectorNorm(channels))
            )
            n_in = channels
        self.gates = nn.ModuleList()
        if config.histogram_radius is not None:
            self.gates.extend(_closed(channels) for channels in config.channels)
        self.decoder = nn.ModuleList()
        for number in reversed(range(config.fine_level, len(config.channels) - 1)):
            channels = config.channels[number]
            self.decoder.append(
                nn.Sequential(
                    VectorLinear(n_in + channels, channels),
                    VectorLeakyReLU(channels, config.slope),
                    VectorNorm(channels),
                )
            )
            n_in = channels

    def forward(self, cloud: Pyramid) -> tuple[list[Tensor], Tensor]:
        """Encoded vectors of every level, `[N_l, 3, C_l]`, and decoded ones of the fine level."""
        encoded: list[Tensor] = []
        for number in range(len(self.levels)):
            encoded.append(self._level(cloud, number, encoded))
        vectors = encoded[-1]
        for step, layer in enumerate(self.decoder):
            number = len(encoded) - 2 - step
            nearest = cloud.levels[number].coarser
            assert nearest is not None
            vectors = layer(torch.cat([vectors[nearest], encoded[number]], dim=-1))
        return encoded, vectors

    def _level(self, cloud: Pyramid, number: int, encoded: list[Tensor]) -> Tensor:
        level, blocks = cloud.levels[number], list(self.levels[number])  # type: ignore[call-overload]
        around = local_vectors(level.points, level.points, level.neighbours, REACH * 2.0**number)
        vectors, first = shape_vectors(cloud, number), 0
        if number:
            below = self._descend(cloud.levels[number - 1], level, blocks[0], encoded[-1], number)
            vectors, first = torch.cat([below, vectors], dim=-1), 1
        vectors = self.shapes[number](vectors)
        if self.gates:
            vectors = vectors * (1 + self.gates[number](level.histograms).unsqueeze(1))
        for block in blocks[first:]:
            vectors = block(vectors, vectors, around, level.neighbours)
        return vectors

    @staticmethod
    def _descend(finer: Level, level: Level, block: nn.Module, vectors: Tensor, number: int) -> Tensor:
        assert level.finer is not None
        around = local_vectors(level.points, finer.points, level.finer, REACH * 2.0 ** (number - 1))
        result: Tensor = block(vectors, pooled(vectors, finer, len(level.points)), around, level.finer)
        return result


def _closed(channels: int) -> nn.Linear:
    """What histograms add to the weight of each vector, at first nothing."""
    layer = nn.Linear(HISTOGRAM, channels)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def pooled(vectors: Tensor, finer: Level, count: int) -> Tensor:
    """Mean vectors `[count, 3, C]` of the points that each point of the next level was thinned from."""
    assert finer.coarser is not None
    sums = vectors.new_zeros(count, *vectors.shape[1:]).index_add(0, finer.coarser, vectors)
    return sums / segment_counts(finer.coarser, count).view(-1, 1, 1)


def shape_vectors(cloud: Pyramid, number: int) -> Tensor:
    """What the points around each point of a level look like, as vectors without any sign to choose, `[n, 3, SEEDS]`.

    Mean offsets m_s of the points around it at its own level and at the next two (the last level where there are no
    more), and A_s m_s and A_0 m_s, with A the adjugate of the second moments. On a surface A projects on the normal:
    how points happen to be spread within the surface falls out of A m, and its bend is left.
    """
    level = cloud.levels[number]
    own = torch.arange(len(level.points), device=level.points.device)
    vectors: list[Tensor] = []
    first: Tensor | None = None
    for step in range(SCALES):
        wider = cloud.levels[min(number + step, len(cloud.levels) - 1)]
        offsets = wider.points[wider.neighbours[own]] - level.points.unsqueeze(1)
        mean = offsets.mean(1) / 2.0 ** (number + step)
        adjugate = _adjugate(offsets)
        vectors.append(_times(adjugate, mean))
        if first is None:
            first = adjugate
        else:
            vectors.append(_times(first, mean))
        own = wider.coarser[own] if wider.coarser is not None else own
    return unit(torch.stack(vectors, dim=-1), dim=-2, soft=FLAT)


def _adjugate(offsets: Tensor) -> Tensor:
    """Four times the adjugate of the second moments, of trace 1, of offsets `[n, k, 3]`: about 1 along a normal."""
    square = offsets.transpose(1, 2) @ offsets
    square = square / (square.diagonal(dim1=1, dim2=2).sum(1) + 1e-12).view(-1, 1, 1)
    twice = square @ square
    rest = (1 - twice.diagonal(dim1=1, dim2=2).sum(1)).view(-1, 1, 1) / 2
    return 4 * (twice - square + rest * torch.eye(3, dtype=offsets.dtype, device=offsets.device))


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
