"""One kind of category of a molecule: its elements, charges, hybridisations or bonds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from eqcli.diffusion.categorical import from_probabilities, noised_categories, reverse_categories


class Categories(nn.Module):
    """Between codes and states `[B, ...]` int64; a state is the place of a code, or the mask that comes last.

    Parameters
    ----------
    codes
        The codes that are known, ascending.
    prior
        `marginal`, `absorbing` or `uniform`: what the noise is.
    """

    codes: Tensor
    prior: Tensor

    def __init__(self, codes: Sequence[int], prior: str) -> None:
        super().__init__()
        self.count = len(codes)
        self.form = prior
        self.states = self.count + (prior == "absorbing")
        self.register_buffer("codes", torch.tensor(list(codes), dtype=torch.int64), False)
        start = torch.zeros(self.states)
        if prior == "absorbing":
            start[-1] = 1.0
        else:
            start[:] = 1.0 / self.count
        self.register_buffer("prior", start)

    def fit(self, frequencies: Tensor) -> None:
        """Takes how frequent each code is among the training molecules, `[K]`."""
        if self.form == "marginal":
            self.prior.copy_(frequencies / frequencies.sum())

    def index(self, codes: Tensor) -> Tensor:
        """The place of each code; of codes that are unknown, any place."""
        return torch.searchsorted(self.codes, codes).clamp(max=self.count - 1)

    def code(self, states: Tensor) -> Tensor:
        """The code at each place."""
        return self.codes[states.clamp(max=self.count - 1)]

    def features(self, states: Tensor, dtype: torch.dtype) -> Tensor:
        """Unit vectors, `[..., states]`."""
        return one_hot(states, self.states).to(dtype)

    def noised(self, clean: Tensor, kept: Tensor, uniform: Tensor) -> Tensor:
        """States of which the share `kept` `[B]` is left as it was; `uniform` `[B, ..., 2]`."""
        return noised_categories(clean, kept, self.prior, uniform)

    def drawn(self, uniform: Tensor) -> Tensor:
        """States without any signal; `uniform` `[B, ..., 2]`."""
        nothing = torch.zeros(uniform.shape[:-1], dtype=torch.int64, device=uniform.device)
        return self.noised(nothing, uniform.new_zeros(len(uniform)), uniform)

    def stepped(self, states: Tensor, logits: Tensor, now: float, later: float, uniform: Tensor) -> Tensor:
        """States where a larger share of the signal is there, `later` of 1; `logits` are of the data, `[..., K]`."""
        clean = logits.softmax(dim=-1)
        if self.states > self.count:
            clean = torch.cat([clean, clean.new_zeros(*clean.shape[:-1], 1)], dim=-1)
        return reverse_categories(states, clean, now, later, self.prior, uniform)

    def drawn_anew(self, logits: Tensor, later: float, uniform: Tensor) -> Tensor:
        """States of the share `later` of the signal, whatever they were before; `uniform` `[B, ..., 3]`.

        The data are drawn, then made noisy: the states of each atom are distributed as after `stepped`, and nothing
        that was drawn wrongly earlier stays.
        """
        clean = from_probabilities(logits.softmax(dim=-1), uniform[..., 2])
        return self.noised(clean, uniform.new_full((len(uniform),), later), uniform[..., :2])

    def loss(self, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Mean cross entropy of each molecule, `[B]`; `weights` `[B, ...]` are 1 where there is something to say."""
        errors = cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none").reshape(target.shape)
        return (errors * weights).flatten(1).sum(dim=1) / weights.flatten(1).sum(dim=1).clamp(min=1.0)
