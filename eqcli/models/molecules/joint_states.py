"""Molecules on the way between noise and data, and the data as they are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BONDS = "bonds"
FIELDS = {"elements": "numbers", "charges": "charges", "hybridisations": "hybridisations", BONDS: "bonds"}
"""Where a batch holds the codes of each kind of category."""


@dataclass(frozen=True)
class State:
    """Molecules on the way: positions `[B, N, 3]` without drift, and the states of each kind of category."""

    positions: Tensor
    categories: dict[str, Tensor]


@dataclass(frozen=True)
class Clean:
    """The data as predicted: positions without drift, and logits of each kind of category, `[B, ..., K]`."""

    positions: Tensor
    logits: dict[str, Tensor]


def renumbered(values: Tensor, order: Tensor, pairs: bool) -> Tensor:
    """Rows of `[B, N, ...]` in an order `[B, N]`; rows and columns of `[B, N, N, ...]` for pairs."""
    molecule = torch.arange(len(order), device=order.device)
    if pairs:
        return values[molecule[:, None, None], order.unsqueeze(2), order.unsqueeze(1)]
    return values[molecule.unsqueeze(1), order]
