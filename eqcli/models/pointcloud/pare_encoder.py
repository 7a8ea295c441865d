"""Vector features of clouds at every level of a pyramid: the encoder and decoder of PARE-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.points.pyramid import Level, Pyramid
from eqcli.models.pointcloud.configs.pare_net import PareNetConfig
from eqcli.models.pointcloud.pare_convolution import PareBlock, local_vectors
from eqcli.nn.vector_neurons import VectorLeakyReLU, VectorLinear, VectorNorm

SEEDS = 3
"""Vectors that a cloud starts with: mean offsets of the nearest half and of all neighbours, and their cross product."""


class PareEncoder(nn.Module):
    """Encodes from the finest level to the last, and decodes back to the fine level."""

    def __init__(self, config: PareNetConfig) -> None:
        super().__init__()
        self.fine_level = config.fine_level
        self.levels = nn.ModuleList()
        n_in = SEEDS
        for channels in config.channels:
            blocks = nn.ModuleList()
            for _ in range(config.blocks):
                blocks.append(PareBlock(n_in, channels, config.kernels, config.position_channels, config.slope))
                n_in = channels
            self.levels.append(blocks)
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
        around = local_vectors(level.points, level.points, level.neighbours, 2.0**number)
        if number == 0:
            vectors, first = _seeds(around), 0
        else:
            vectors, first = self._descend(cloud.levels[number - 1], level, blocks[0], encoded[-1], number), 1
        for block in blocks[first:]:
            vectors = block(vectors, around, level.neighbours)
        return vectors

    @staticmethod
    def _descend(finer: Level, level: Level, block: nn.Module, vectors: Tensor, number: int) -> Tensor:
        assert level.finer is not None
        around = local_vectors(level.points, finer.points, level.finer, 2.0**number)
        result: Tensor = block(vectors, around, level.finer)
        return result


def _seeds(around: Tensor) -> Tensor:
    """First vectors of points from the offsets of their neighbours, `[N, 3, SEEDS]`."""
    offset = around[..., 0]
    near, all_ = offset[:, : max(offset.shape[1] // 2, 1)].mean(1), offset.mean(1)
    return torch.stack([near, all_, torch.linalg.cross(near, all_, dim=-1)], dim=-1)
