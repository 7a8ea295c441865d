"""All pairs of the atoms of each crystal, along which the networks inside generators pass messages."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eqcli.allocation import return_large_blocks
from eqcli.graph.all_pairs import PairBlock, pair_blocks, pair_count
from eqcli.models.generators.denoiser import DenoiserInput
from eqcli.nn.fourier_features import difference_waves, torus_waves

PAIR_LIMIT = 65_536
"""Pairs whose messages exist at a time; what is beyond comes one block after the other."""


class Pairs:
    """The pairs of a batch, an atom with itself included, and the waves of their differences, which all layers share.

    Few pairs are one block whose waves are kept; of many, each block is made when its turn comes, so that memory
    grows with the atoms and not with their pairs.
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
        else:
            return_large_blocks()

    def waves(self, block: PairBlock) -> Tensor:
        """Waves of the differences, `[E, 6 K]`."""
        return difference_waves(self.atom_waves, block.sender, block.receiver)

    def received(self, messages: Callable[..., Tensor], *atoms: Tensor) -> Tensor:
        """What every atom receives, `[N, C]`.

        `messages(block, waves, *atoms)` gives it for the receivers of a block, `[last - first, C]`, from features
        of the atoms; whatever it needs a gradient of is among these or a parameter.
        """
        if self.kept is not None:
            return messages(*self.kept, *atoms)
        blocks = pair_blocks(self.counts, PAIR_LIMIT)
        return torch.cat([self._of_block(messages, block, atoms) for block in blocks])

    def _of_block(self, messages: Callable[..., Tensor], block: PairBlock, atoms: tuple[Tensor, ...]) -> Tensor:
        def run(*atoms: Tensor) -> Tensor:
            return messages(block, self.waves(block), *atoms)

        if not torch.is_grad_enabled():
            return run(*atoms)
        # Messages of a block are made again for its gradient instead of being kept.
        made: Tensor = checkpoint(run, *atoms, use_reentrant=False, preserve_rng_state=False)
        return made
