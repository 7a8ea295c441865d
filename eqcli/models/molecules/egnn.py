"""EGNN between all atoms of a molecule, on molecules that are filled up to one size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.models.molecules.configs.common import EGNNDenoiserConfig
from eqcli.models.molecules.denoiser import DenoiserInput, DenoiserOutput, DenoiserSizes, MoleculeDenoiser
from eqcli.nn.egnn import COORDINATE_GAIN

SMALL = 1e-8


class DenseEGNN(MoleculeDenoiser):
    """The network of EDM (Hoogeboom et al., ICML 2022, section 3.3 and appendix B).

    Each layer updates the features of atoms by gated messages between all pairs,
    then the positions by steps along all pairs, which a second network bounds by
    tanh. Both see the squared distances now and at the input, and the features of
    the pair where there are any; these are updated by the messages.

    Parameters
    ----------
    config, sizes
        As every network.
    """

    def __init__(self, config: EGNNDenoiserConfig, sizes: DenoiserSizes) -> None:
        super().__init__()
        channels, pairs = config.channels, config.pair_channels if sizes.pairs or sizes.pairs_out else 0
        self.pair_channels = pairs
        self.atom_in = nn.Linear(sizes.atoms + sizes.context, channels)
        self.atom_out = nn.Linear(channels, sizes.atoms_out)
        self.pair_in = nn.Linear(sizes.pairs, pairs) if sizes.pairs else None
        # Vectors of both ends along the pair, and their product.
        invariants = 1 + 3 * sizes.vectors
        last = config.num_layers - 1
        self.layers = nn.ModuleList(
            DenseEGNNLayer(config, invariants, pairs, update_pairs=pairs > 0 and (n < last or sizes.pairs_out > 0))
            for n in range(config.num_layers)
        )
        self.vector_step = _small(channels, sizes.vectors) if sizes.vectors else None
        self.ends = nn.Linear(channels, pairs) if sizes.pairs_out else None
        self.pair_out = (
            nn.Sequential(nn.Linear(pairs, pairs), nn.SiLU(), nn.Linear(pairs, sizes.pairs_out))
            if sizes.pairs_out
            else None
        )

    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        x, mask = inputs.positions, inputs.mask.unsqueeze(-1).to(inputs.positions.dtype)
        b, n, _ = x.shape
        here = inputs.pair_mask.to(x.dtype)
        h = self.atom_in(torch.cat([inputs.atoms, inputs.context.unsqueeze(1).expand(b, n, -1)], dim=-1))
        e = self.pair_in(inputs.pairs) if self.pair_in is not None else x.new_zeros(b, n, n, self.pair_channels)
        known = _invariants(x, inputs.vectors)
        for layer in self.layers:
            h, e, x = layer(h, e, x, known, here)
            x = x * mask
        if self.vector_step is not None and inputs.vectors is not None:
            x = x + (inputs.vectors * self.vector_step(h).unsqueeze(2)).sum(dim=-1) * mask
        pairs = None
        if self.pair_out is not None and self.ends is not None:
            ends = self.ends(h)
            pairs = self.pair_out(e + ends.unsqueeze(2) + ends.unsqueeze(1))
        return DenoiserOutput(x - inputs.positions * mask, self.atom_out(h), pairs)


class DenseEGNNLayer(nn.Module):
    """One layer; see :class:`DenseEGNN`.

    Parameters
    ----------
    config
        Hyper-parameters.
    invariants, pairs
        Numbers of each pair: those known from the input, and the features that are updated.
    update_pairs
        Whether the latter are updated.
    """

    def __init__(self, config: EGNNDenoiserConfig, invariants: int, pairs: int, *, update_pairs: bool) -> None:
        super().__init__()
        channels = config.channels
        self.normalization = config.normalization
        self.reach = config.coordinates_range / config.num_layers
        self.message = PairNetwork(channels, 1 + invariants + pairs)
        self.gate = nn.Linear(channels, 1) if config.attention else None
        self.update = nn.Sequential(nn.Linear(2 * channels, channels), nn.SiLU(), nn.Linear(channels, channels))
        self.step = PairNetwork(channels, 1 + invariants + pairs)
        self.length = _small(channels, 1)
        self.change = nn.Linear(channels, pairs) if update_pairs else None

    def forward(self, h: Tensor, e: Tensor, x: Tensor, known: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The features `[B, N, C]`, those of pairs `[B, N, N, P]` and positions `[B, N, 3]` after it.

        `known` `[B, N, N, K]` are the numbers of pairs that stay, `here` `[B, N, N]` is 1 for pairs of different atoms.
        """
        r = x.unsqueeze(2) - x.unsqueeze(1)
        squared = r.square().sum(dim=-1, keepdim=True)
        seen = torch.cat([squared, known, e], dim=-1)
        messages = self.message(h, seen)
        weight = here if self.gate is None else here * torch.sigmoid(self.gate(messages)).squeeze(-1)
        # One product in place of weighted messages, which would be the largest tensor once more.
        heard = torch.matmul(weight.unsqueeze(2), messages).squeeze(2) / self.normalization
        h = h + self.update(torch.cat([h, heard], dim=-1))
        if self.change is not None:
            change = self.change(messages)
            e = e + 0.5 * (change + change.transpose(1, 2))
        length = self.reach * torch.tanh(self.length(self.step(h, seen)))
        step = length * here.unsqueeze(-1) / ((squared + SMALL).sqrt() + 1.0)
        return h, e, x + (step * r).sum(dim=2) / self.normalization


class PairNetwork(nn.Module):
    """A network of two layers on the features of a receiver, a sender and their pair.

    Its first map is linear: the parts that depend on one atom are computed once per atom.

    Parameters
    ----------
    channels
        Features of each atom, and of the result.
    pairs
        Features of each pair.
    """

    def __init__(self, channels: int, pairs: int) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Linear(2 * channels + pairs, channels)
        self.second = nn.Linear(channels, channels)

    def forward(self, h: Tensor, pairs: Tensor) -> Tensor:
        """`[B, N, C]` and `[B, N, N, P]` to `[B, N, N, C]`, receivers first."""
        receiver, sender, pair = self.first.weight.split([self.channels, self.channels, pairs.shape[-1]], dim=1)
        of_atoms = nn.functional.linear(h, receiver, self.first.bias).unsqueeze(2) + (h @ sender.t()).unsqueeze(1)
        found = nn.functional.silu(of_atoms + pairs @ pair.t())
        return nn.functional.silu(self.second(found))


def _invariants(x: Tensor, vectors: Tensor | None) -> Tensor:
    """Squared distances `[B, N, N, 1]`; with vectors their components along each pair, and their products."""
    r = x.unsqueeze(2) - x.unsqueeze(1)
    squared = r.square().sum(dim=-1, keepdim=True)
    if vectors is None:
        return squared
    direction = r / ((squared + SMALL).sqrt() + 1.0)
    receiver = torch.einsum("bijd,bidv->bijv", direction, vectors)
    sender = torch.einsum("bijd,bjdv->bijv", direction, vectors)
    product = torch.einsum("bidv,bjdv->bijv", vectors, vectors)
    return torch.cat([squared, receiver, sender, product], dim=-1)


def _small(inputs: int, outputs: int) -> nn.Linear:
    """A map whose results are small at first: an untrained network hardly moves atoms."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.xavier_uniform_(layer.weight, gain=COORDINATE_GAIN)
    return layer
