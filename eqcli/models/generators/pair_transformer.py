"""Attention between all atoms of a cell, as a network inside generators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from eqcli.graph.all_pairs import PairBlock
from eqcli.graph.segments import segment_mean, segment_softmax, segment_sum
from eqcli.models.generators.configs.common import PairTransformerConfig
from eqcli.models.generators.denoiser import Denoiser, DenoiserInput, DenoiserOutput, DenoiserSizes
from eqcli.models.generators.pairs import Pairs

WIDENING = 4
"""Channels of the hidden layer after attention, for each channel of features (Vaswani et al., 2017)."""


class PairTransformer(Denoiser):
    """A transformer whose attention knows where atoms are from the waves of their differences and the lattice.

    Time and conditions scale and shift what enters each layer and weigh what leaves
    it, from nothing at first (Peebles and Xie, ICCV 2023). Attention takes means; the
    number of atoms is among the features.

    Parameters
    ----------
    config
        Hyper-parameters.
    sizes
        Widths of inputs and outputs.
    """

    def __init__(self, config: PairTransformerConfig, sizes: DenoiserSizes) -> None:
        super().__init__()
        channels = config.channels
        self.frequencies = config.frequencies
        self.start = nn.Linear(sizes.species + 1, channels)
        self.layers = nn.ModuleList(
            PairLayer(channels, config.heads, sizes.lattice, sizes.context, config.frequencies)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = _modulation(sizes.context, 2 * channels)
        self.coordinates = nn.Linear(channels, 3, bias=False)
        self.lattice = nn.Linear(channels, sizes.lattice_out, bias=False)
        self.species = nn.Linear(channels, sizes.species_out) if sizes.species_out else None

    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        pairs = Pairs(inputs, self.frequencies)
        context = silu(inputs.context)
        h = self.start(torch.cat([inputs.species, pairs.senders.log()], dim=1))
        for layer in self.layers:
            h = layer(h, context, pairs)
        shift, scale = self.modulation(context)[inputs.batch].chunk(2, dim=1)
        h = self.norm(h) * (1.0 + scale) + shift
        crystals = segment_mean(h, inputs.batch, len(inputs.counts))
        species = h.new_zeros(len(h), 0) if self.species is None else self.species(h)
        return DenoiserOutput(self.coordinates(h), self.lattice(crystals), species)


class PairLayer(nn.Module):
    """Attention and a map of each atom, both after a layer norm that the context modulates.

    With features p_ij of a pair, from its waves and the lattice, the weights are the
    softmax over j of q_i . k_j / sqrt(d) + b(p_ij), and the mean is that of v_j + p_ij.
    """

    def __init__(self, channels: int, heads: int, lattice: int, context: int, frequencies: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels / heads) ** -0.5
        self.norms = nn.ModuleList(nn.LayerNorm(channels, elementwise_affine=False) for _ in range(2))
        self.modulation = _modulation(context, 6 * channels)
        self.atoms = nn.Linear(channels, 3 * channels, bias=False)
        self.waves = nn.Linear(6 * frequencies, channels, bias=False)
        self.lattice = nn.Linear(lattice, channels)
        self.bias = nn.Linear(channels, heads, bias=False)
        self.joined = nn.Linear(channels, channels)
        self.update = nn.Sequential(
            nn.Linear(channels, WIDENING * channels), nn.SiLU(), nn.Linear(WIDENING * channels, channels)
        )

    def forward(self, h: Tensor, context: Tensor, pairs: Pairs) -> Tensor:
        modulation = self.modulation(context)[pairs.batch].chunk(6, dim=1)
        (shift, scale, weight), (late_shift, late_scale, late_weight) = modulation[:3], modulation[3:]
        query, key, value = self.atoms(self.norms[0](h) * (1.0 + scale) + shift).chunk(3, dim=1)
        lattice = self.lattice(pairs.lattice)[pairs.batch]
        h = h + weight * self.joined(pairs.received(self._attend, query, key, value, lattice))
        return h + late_weight * self.update(self.norms[1](h) * (1.0 + late_scale) + late_shift)

    def _attend(
        self, block: PairBlock, waves: Tensor, query: Tensor, key: Tensor, value: Tensor, lattice: Tensor
    ) -> Tensor:
        """The weighted means for the receivers of a block, `[last - first, C]`."""
        receiver, n = block.receiver - block.first, block.last - block.first
        pair = silu(self.waves(waves) + lattice[block.receiver])  # [E, C]
        products = (query[block.receiver] * key[block.sender]).unflatten(1, (self.heads, -1)).sum(2)
        weights = segment_softmax(products * self.scale + self.bias(pair), receiver, n)  # [E, heads]
        values = (value[block.sender] + pair).unflatten(1, (self.heads, -1))
        return segment_sum((weights.unsqueeze(2) * values).flatten(1), receiver, n)


def _modulation(context: int, width: int) -> nn.Linear:
    """A map of the context that is zero at first."""
    made = nn.Linear(context, width)
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made
