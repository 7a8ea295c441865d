"""Elements as numbers that noise is put on: one-hot, and the atomic number, both scaled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.special import log_ndtr

MARGIN = 0.5
"""What is read back as clean lies at most so far beyond what there is, in units before scaling."""


class ElementCodes(nn.Module):
    """Between atomic numbers and features `[..., F]` (Hoogeboom et al., ICML 2022, section 3.2).

    Parameters
    ----------
    elements
        Atomic numbers that are known, ascending.
    scale
        One-hot elements are divided by this.
    number_scale
        Atomic numbers are divided by this; None leaves them out.
    """

    elements: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, elements: Sequence[int], scale: float, number_scale: float | None) -> None:
        super().__init__()
        self.count = len(elements)
        self.scale = scale
        self.number_scale = number_scale
        self.width = self.count + (number_scale is not None)
        self.register_buffer("elements", torch.tensor(list(elements), dtype=torch.int64), False)
        codes = self.encode(self.elements)
        units = torch.full((self.width,), MARGIN / scale, dtype=torch.float64)
        if number_scale is not None:
            units[-1] = MARGIN / number_scale
        self.register_buffer("lowest", codes.amin(dim=0) - units, False)
        self.register_buffer("highest", codes.amax(dim=0) + units, False)

    def knows(self, numbers: Tensor) -> Tensor:
        """Which atomic numbers are known, in the shape of `numbers`."""
        return torch.isin(numbers, self.elements)

    def encode(self, numbers: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        """`[...] -> [..., F]`; an unknown element has no one-hot entry."""
        found = (numbers.unsqueeze(-1) == self.elements).to(dtype) / self.scale
        if self.number_scale is None:
            return found
        return torch.cat([found, numbers.unsqueeze(-1).to(dtype) / self.number_scale], dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """The elements whose one-hot entries are largest, `[..., F] -> [...]`."""
        return self.elements[codes[..., : self.count].argmax(dim=-1)]

    def clipped(self, codes: Tensor) -> Tensor:
        """Features kept near those that elements have."""
        return codes.clamp(self.lowest.to(codes.dtype), self.highest.to(codes.dtype))

    def log_probability(self, numbers: Tensor, codes: Tensor, width: Tensor) -> Tensor:
        """log p(number | codes) where the features are `codes` but for Gaussian noise, `[...]` float64.

        Bins of width 1 about each value, before scaling: that of 1 for every one-hot entry, made to add up to one
        over the elements, times that of the atomic number (appendix C).

        Parameters
        ----------
        numbers
            `[...]`.
        codes
            `[..., F]`.
        width
            Standard deviation of the noise, one number or one in the shape of `numbers`.
        """
        codes, width = codes.double(), width.double().unsqueeze(-1)
        one_hot = _log_bin(1.0 - self.scale * codes[..., : self.count], self.scale * width)
        chosen = (numbers.unsqueeze(-1) == self.elements).to(torch.float64).argmax(dim=-1, keepdim=True)
        found = one_hot.log_softmax(dim=-1).gather(-1, chosen).squeeze(-1)
        found = found.masked_fill(~self.knows(numbers), -torch.inf)
        if self.number_scale is None:
            return found
        off = numbers.unsqueeze(-1) - self.number_scale * codes[..., self.count :]
        return found + _log_bin(off, self.number_scale * width).squeeze(-1)


def _log_bin(offset: Tensor, width: Tensor) -> Tensor:
    """log of the probability that a normal number of this width lies within 1/2 of `offset`; exact in the tails."""
    # The bin is mirrored to the left, where the distribution function does not round to one.
    offset = -offset.abs()
    upper, lower = log_ndtr((offset + 0.5) / width), log_ndtr((offset - 0.5) / width)
    return upper + torch.log1p(-torch.exp(lower - upper))
