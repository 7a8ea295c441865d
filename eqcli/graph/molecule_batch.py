"""Molecules as generators see them, several in one batch, each filled up to the size of the largest."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class MoleculeBatch:
    """B molecules with at most N atoms; what is beyond the atoms of a molecule is zero.

    Attributes
    ----------
    numbers
        Atomic numbers, `[B, N]` int64; 0 where there is no atom, or where the element is not known yet.
    positions
        Å, `[B, N, 3]`.
    counts
        Atoms of each molecule, `[B]` int64.
    charges
        Formal charges, `[B, N]` int64.
    hybridisations
        RDKit's numbers of them, `[B, N]` int64; 0 where unknown.
    bonds
        `[B, N, N]` int64, symmetric: 0 none, 1, 2, 3 the order, 4 aromatic.
    values
        The properties that generation may be conditioned on, `[B, P]`; NaN where unknown.
    known
        Atoms that are given, `[B, N]` bool: a scaffold to complete. None where all are to be made.
    """

    numbers: Tensor
    positions: Tensor
    counts: Tensor
    charges: Tensor
    hybridisations: Tensor
    bonds: Tensor
    values: Tensor | None = None
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def width(self) -> int:
        """Atoms of the largest molecule."""
        return self.numbers.shape[1]

    @cached_property
    def mask(self) -> Tensor:
        """Where there are atoms, `[B, N]` bool."""
        return torch.arange(self.width, device=self.counts.device) < self.counts.unsqueeze(1)

    @cached_property
    def pairs(self) -> Tensor:
        """Where there are two different atoms, `[B, N, N]` bool."""
        both = self.mask.unsqueeze(2) & self.mask.unsqueeze(1)
        return both & ~torch.eye(self.width, dtype=torch.bool, device=both.device)

    @cached_property
    def known_pairs(self) -> Tensor | None:
        """Pairs of given atoms, `[B, N, N]` bool."""
        return None if self.known is None else self.known.unsqueeze(2) & self.known.unsqueeze(1) & self.pairs

    @property
    def unknown(self) -> Tensor:
        """Atoms that are to be made, `[B, N]` bool."""
        return self.mask if self.known is None else self.mask & ~self.known

    @property
    def unknown_pairs(self) -> Tensor:
        """Pairs of atoms that are not both given, `[B, N, N]` bool."""
        return self.pairs if self.known_pairs is None else self.pairs & ~self.known_pairs

    def to(self, device: torch.device | str) -> MoleculeBatch:
        """The same on a device."""
        tensors: dict[str, Tensor | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in tensors.items()}
        return MoleculeBatch(**moved)

    def with_molecules(self, **changes: Tensor) -> MoleculeBatch:
        """The same molecules with other atoms, positions or bonds."""
        return replace(self, **changes)


def empty_batch(counts: Tensor, dtype: torch.dtype, values: Tensor | None = None) -> MoleculeBatch:
    """Molecules of which nothing is known but their sizes."""
    b, n = len(counts), int(counts.max()) if len(counts) else 0
    numbers = torch.zeros(b, n, dtype=torch.int64, device=counts.device)
    return MoleculeBatch(
        numbers,
        torch.zeros(b, n, 3, dtype=dtype, device=counts.device),
        counts,
        numbers.clone(),
        numbers.clone(),
        torch.zeros(b, n, n, dtype=torch.int64, device=counts.device),
        values,
    )
