"""CSPNet, the network of DiffCSP (Jiao et al., NeurIPS 2023, section 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from eqcli.graph.all_pairs import PairBlock
from eqcli.graph.segments import segment_mean, segment_sum
from eqcli.models.generators.configs.common import CSPNetConfig
from eqcli.models.generators.denoiser import Denoiser, DenoiserInput, DenoiserOutput, DenoiserSizes
from eqcli.models.generators.pairs import Pairs


class CSPNet(Denoiser):
    """Messages between all pairs of atoms of a cell, an atom with itself included.

    Parameters
    ----------
    config
        Hyper-parameters.
    sizes
        Widths of inputs and outputs.
    """

    def __init__(self, config: CSPNetConfig, sizes: DenoiserSizes) -> None:
        super().__init__()
        self.frequencies = config.frequencies
        self.start = nn.Linear(sizes.species + sizes.context, config.channels)
        self.layers = nn.ModuleList(
            CSPLayer(config.channels, sizes.lattice, config.frequencies) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.channels)
        self.coordinates = nn.Linear(config.channels, 3, bias=False)
        self.lattice = nn.Linear(config.channels, sizes.lattice_out, bias=False)
        self.species = nn.Linear(config.channels, sizes.species_out) if sizes.species_out else None

    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        h = self.start(torch.cat([inputs.species, inputs.context[inputs.batch]], dim=1))
        pairs = Pairs(inputs, self.frequencies)
        for layer in self.layers:
            h = layer(h, pairs)
        h = self.norm(h)
        crystals = segment_mean(h, inputs.batch, len(inputs.counts))
        species = h.new_zeros(len(h), 0) if self.species is None else self.species(h)
        return DenoiserOutput(self.coordinates(h), self.lattice(crystals), species)


class CSPLayer(nn.Module):
    """h_i + phi_h(h_i, mean_j phi_m(h_i, h_j, lattice, waves of f_j - f_i)), after a layer norm.

    The first map of phi_m is applied to each of its inputs where it lives (atoms,
    crystals, pairs) and added up on the pairs, which is the map of them joined.
    """

    def __init__(self, channels: int, lattice: int, frequencies: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.receiver = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)
        self.lattice = nn.Linear(lattice, channels, bias=False)
        self.waves = nn.Linear(6 * frequencies, channels, bias=False)
        self.message = nn.Linear(channels, channels)
        self.update = nn.Sequential(
            nn.Linear(2 * channels, channels), nn.SiLU(), nn.Linear(channels, channels), nn.SiLU()
        )

    def forward(self, h: Tensor, pairs: Pairs) -> Tensor:
        normed = self.norm(h)
        receiver = self.receiver(normed) + self.lattice(pairs.lattice)[pairs.batch]
        sender = self.sender(normed)
        total = pairs.received(self._sum, receiver, sender)
        return h + self.update(torch.cat([normed, total / pairs.senders], dim=1))

    def _sum(self, block: PairBlock, waves: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        """Sum of the messages to the receivers of a block, `[last - first, C]`."""
        joined = receiver[block.receiver] + sender[block.sender] + self.waves(waves)
        messages = silu(self.message(silu(joined)))
        return segment_sum(messages, block.receiver - block.first, block.last - block.first)
