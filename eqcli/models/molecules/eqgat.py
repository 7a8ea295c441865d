"""Attention between all atoms of a molecule on scalars, vectors and features of pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.models.molecules.configs.common import EQGATConfig
from eqcli.models.molecules.denoiser import DenoiserInput, DenoiserOutput, DenoiserSizes, MoleculeDenoiser

SMALL = 1e-8
STEP_GAIN = 1e-2
"""Gain of the initial weights that move atoms: an untrained layer hardly moves them."""


class EQGAT(MoleculeDenoiser):
    """Scalars and vectors of atoms, and scalars of pairs, updated together (after Le et al., ICLR 2024).

    Each layer looks at every pair of atoms: its distance, the scalars of both, the
    products of their vectors and the features of the pair. From that come the
    weight and the value of a message, the lengths of vectors along the pair, a
    step of the positions and the change of the pair itself.

    Parameters
    ----------
    config, sizes
        As every network.
    """

    def __init__(self, config: EQGATConfig, sizes: DenoiserSizes) -> None:
        super().__init__()
        channels, vectors, pairs = config.channels, config.vector_channels, config.pair_channels
        self.vector_channels = vectors
        self.pair_channels = pairs
        self.atom_in = nn.Linear(sizes.atoms + sizes.context, channels)
        self.pair_in = nn.Linear(sizes.pairs, pairs) if sizes.pairs else None
        self.vector_in = nn.Linear(sizes.vectors, vectors, bias=False) if sizes.vectors else None
        self.layers = nn.ModuleList(EQGATLayer(config) for _ in range(config.num_layers))
        self.atom_out = _network(channels, channels, sizes.atoms_out)
        self.pair_out = _network(2 * pairs, pairs, sizes.pairs_out) if sizes.pairs_out else None
        self.pair_from_atoms = nn.Linear(channels, pairs) if sizes.pairs_out else None

    def forward(self, inputs: DenoiserInput) -> DenoiserOutput:
        b, n, _ = inputs.positions.shape
        context = inputs.context.unsqueeze(1).expand(b, n, -1)
        s = self.atom_in(torch.cat([inputs.atoms, context], dim=-1))
        x = inputs.positions
        e = x.new_zeros(b, n, n, self.pair_channels)
        if self.pair_in is not None and inputs.pairs is not None:
            e = self.pair_in(inputs.pairs)
        v = x.new_zeros(b, n, 3, self.vector_channels)
        if self.vector_in is not None and inputs.vectors is not None:
            v = self.vector_in(inputs.vectors)
        for layer in self.layers:
            s, v, e, x = layer(s, v, e, x, inputs.mask, inputs.pair_mask)
        pairs = None
        if self.pair_out is not None and self.pair_from_atoms is not None:
            ends = self.pair_from_atoms(s)
            pairs = self.pair_out(torch.cat([e, ends.unsqueeze(2) + ends.unsqueeze(1)], dim=-1))
        return DenoiserOutput(x - inputs.positions, self.atom_out(s), pairs)


class EQGATLayer(nn.Module):
    """One layer; see :class:`EQGAT`."""

    centres: Tensor

    def __init__(self, config: EQGATConfig) -> None:
        super().__init__()
        channels, vectors, pairs, hidden = (
            config.channels,
            config.vector_channels,
            config.pair_channels,
            config.hidden_channels,
        )
        self.heads = config.heads
        self.width = config.cutoff / config.radial
        self.register_buffer("centres", torch.linspace(0.0, config.cutoff, config.radial), False)
        self.parts = [config.heads, 2 * vectors, 1, pairs]
        self.norm = nn.LayerNorm(channels)
        self.pair_norm = nn.LayerNorm(pairs)
        self.receiver = nn.Linear(channels, hidden)
        self.sender = nn.Linear(channels, hidden, bias=False)
        self.pair = nn.Linear(pairs + config.radial + 2, hidden, bias=False)
        self.products = nn.Linear(vectors, config.heads, bias=False)
        self.out = nn.Sequential(nn.SiLU(), nn.Linear(hidden, sum(self.parts)))
        self.value = nn.Linear(channels, channels)
        self.pair_value = nn.Linear(config.heads * pairs, channels)
        self.mix = nn.Linear(vectors, 2 * vectors, bias=False)
        self.update = _network(2 * channels + vectors, channels, channels + vectors)
        self.vector_step = nn.Linear(vectors, 1, bias=False)
        last = self.out[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight[-pairs - 1 : -pairs] *= STEP_GAIN
            last.bias[-pairs - 1 : -pairs] *= 0.0
            self.vector_step.weight *= STEP_GAIN

    def forward(
        self, s: Tensor, v: Tensor, e: Tensor, x: Tensor, mask: Tensor, pair_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The scalars `[B, N, C]`, vectors `[B, N, 3, V]`, pairs `[B, N, N, E]` and positions `[B, N, 3]` after it."""
        here = pair_mask.unsqueeze(-1)
        r = x.unsqueeze(2) - x.unsqueeze(1)
        distance = (r.square().sum(dim=-1, keepdim=True) + SMALL).sqrt()
        # Bounded, so that far atoms do not throw each other; smooth where atoms meet.
        direction = r / (1.0 + distance)
        normed, v_normed = self.norm(s), _normed(v, mask)
        known = torch.cat([self.pair_norm(e), self._radial(distance)], dim=-1)
        seen = self.receiver(normed).unsqueeze(2) + self.sender(normed).unsqueeze(1) + self.pair(known)
        logits, lengths, step, change = self.out(seen).split(self.parts, dim=-1)
        logits = logits + torch.einsum("bicv,bjcv,hv->bijh", v_normed, v_normed, self.products.weight)
        weight = logits.masked_fill(~here, -torch.inf).softmax(dim=2).nan_to_num(nan=0.0)
        message = self._message(weight, self.value(normed), change)
        # Sums over neighbours grow with their number; its root keeps them of one size.
        scale = mask.sum(dim=1).to(s.dtype).clamp(min=1.0).rsqrt()[:, None, None, None]
        along, across = (lengths * here).chunk(2, dim=-1)
        moved = torch.einsum("bijv,bijc->bicv", along, direction) + torch.einsum("bijv,bjcv->bicv", across, v_normed)
        v = v + scale * moved
        s, v = self._mixed(s, v, message, mask)
        x = x + torch.einsum("bijk,bijc->bic", step * here, direction) + self.vector_step(_normed(v, mask)).squeeze(-1)
        x = x * mask.unsqueeze(-1)
        return s, v, (e + 0.5 * (change + change.transpose(1, 2))) * here, x

    def _radial(self, distance: Tensor) -> Tensor:
        waves = torch.exp(-0.5 * ((distance - self.centres.to(distance.dtype)) / self.width).square())
        return torch.cat([waves, 1.0 / (1.0 + distance), distance * 0.1], dim=-1)

    def _message(self, weight: Tensor, atoms: Tensor, pairs: Tensor) -> Tensor:
        """What each atom hears of the senders and of the pairs, weighted by heads, `[B, N, C]`."""
        b, n, _, heads = weight.shape
        heard = torch.einsum("bijh,bjhc->bihc", weight, atoms.reshape(b, n, heads, -1)).reshape(b, n, -1)
        told: Tensor = self.pair_value(torch.einsum("bijh,bije->bihe", weight, pairs).reshape(b, n, -1))
        return heard + told

    def _mixed(self, s: Tensor, v: Tensor, message: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of one atom act on each other."""
        left, right = self.mix(_normed(v, mask)).chunk(2, dim=-1)
        lengths = (left.square().sum(dim=2) + SMALL).sqrt()
        change = self.update(torch.cat([self.norm(s), message, lengths], dim=-1))
        scalars, gate = change.split([s.shape[-1], v.shape[-1]], dim=-1)
        return s + scalars, v + gate.unsqueeze(2) * right


def _normed(v: Tensor, mask: Tensor) -> Tensor:
    """Vectors of each atom divided by the root of their mean square length, which keeps their directions."""
    size = v.square().sum(dim=2).mean(dim=-1)
    return v * (1.0 / (1.0 + size)).sqrt()[..., None, None] * mask[..., None, None]


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))
