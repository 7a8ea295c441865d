"""CSPNet, the network of DiffCSP (Jiao et al., NeurIPS 2023, section 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from torch.utils.checkpoint import checkpoint

from eqcli.graph.all_pairs import PairBlock, pair_blocks, pair_count
from eqcli.graph.segments import segment_mean, segment_sum
from eqcli.models.generators.configs.common import CSPNetConfig
from eqcli.models.generators.denoiser import Denoiser, DenoiserInput, DenoiserOutput, DenoiserSizes
from eqcli.nn.fourier_features import difference_waves, torus_waves

PAIR_LIMIT = 65_536
"""Pairs whose messages exist at a time; what is beyond comes one block after the other."""


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


class Pairs:
    """The pairs of a batch, and the waves of their differences, which all layers share.

    Few pairs are one block whose waves are kept; of many, each block is made when its turn comes.
    """

    def __init__(self, inputs: DenoiserInput, frequencies: int) -> None:
        self.lattice = inputs.lattice
        self.batch = inputs.batch
        self.counts = inputs.counts
        self.senders = inputs.counts[inputs.batch].to(inputs.fractional.dtype).unsqueeze(1)
        self.atom_waves = torus_waves(inputs.fractional, frequencies)
        self.kept: tuple[PairBlock, Tensor] | None = None
        if pair_count(inputs.counts) <= PAIR_LIMIT:
            block = next(pair_blocks(inputs.counts))
            self.kept = block, self.waves(block)

    def waves(self, block: PairBlock) -> Tensor:
        """Waves of the differences, `[E, 6 K]`."""
        return difference_waves(self.atom_waves, block.sender, block.receiver)


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
        if pairs.kept is not None:
            block, waves = pairs.kept
            total = self._sum(receiver, sender, waves, block)
        else:
            total = torch.cat([self._block(receiver, sender, pairs, b) for b in pair_blocks(pairs.counts, PAIR_LIMIT)])
        return h + self.update(torch.cat([normed, total / pairs.senders], dim=1))

    def _block(self, receiver: Tensor, sender: Tensor, pairs: Pairs, block: PairBlock) -> Tensor:
        def run(receiver: Tensor, sender: Tensor) -> Tensor:
            return self._sum(receiver, sender, pairs.waves(block), block)

        if not torch.is_grad_enabled():
            return run(receiver, sender)
        # Messages of a block are made again for its gradient instead of being kept.
        made: Tensor = checkpoint(run, receiver, sender, use_reentrant=False, preserve_rng_state=False)
        return made

    def _sum(self, receiver: Tensor, sender: Tensor, waves: Tensor, block: PairBlock) -> Tensor:
        """Sum of the messages to the receivers of a block, `[last - first, C]`."""
        joined = receiver[block.receiver] + sender[block.sender] + self.waves(waves)
        messages = silu(self.message(silu(joined)))
        return segment_sum(messages, block.receiver - block.first, block.last - block.first)
