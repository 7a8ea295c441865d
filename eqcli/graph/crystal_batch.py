"""Crystals as generators see them: species, fractional coordinates and cells, several in one batch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class CrystalBatch:
    """B crystals with N atoms in all.

    Attributes
    ----------
    numbers
        Atomic numbers, `[N]` int64; 0 where a species is not known yet.
    fractional
        Fractional coordinates, `[N, 3]`.
    cell
        Rows are the lattice vectors in Å, `[B, 3, 3]`.
    counts
        Atoms of each crystal, `[B]` int64.
    value
        The property that generation may be conditioned on, `[B]`; NaN where it is unknown.
    system
        Atomic numbers that each crystal may have, `[B, 119]` bool; None where any may occur.
    """

    numbers: Tensor
    fractional: Tensor
    cell: Tensor
    counts: Tensor
    value: Tensor | None = None
    system: Tensor | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def batch(self) -> Tensor:
        """The crystal of each atom, `[N]`, ascending."""
        return torch.repeat_interleave(self.counts)

    @cached_property
    def within(self) -> Tensor:
        """The number of each atom within its crystal, `[N]`."""
        first = self.counts.cumsum(0) - self.counts
        return torch.arange(len(self.numbers), device=self.numbers.device) - first[self.batch]

    def to(self, device: torch.device | str) -> CrystalBatch:
        """The same on a device."""
        tensors: dict[str, Tensor | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in tensors.items()}
        return CrystalBatch(**moved)

    def with_structure(self, numbers: Tensor, fractional: Tensor, cell: Tensor) -> CrystalBatch:
        """The same crystals with other species, coordinates and cells."""
        return replace(self, numbers=numbers, fractional=fractional, cell=cell)
