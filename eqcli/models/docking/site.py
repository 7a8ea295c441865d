"""The place where poses are sought: a box and the receptor atoms that can be felt in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.models.docking.vina_terms import CUTOFF

WALL: float = 20.0
"""kcal/mol/Å: the pull on an atom far out of the box."""


@dataclass(frozen=True)
class Site:
    """A box with axes along x, y and z and the heavy atoms of the receptor near it.

    Attributes
    ----------
    positions
        `[M, 3]`, Å, of heavy atoms.
    types
        `[M]` int64, values of :class:`eqcli.io.atom_types.AtomType`.
    centre, size
        `[3]` each, Å: the middle of the box and its lengths.
    """

    positions: Tensor
    types: Tensor
    centre: Tensor
    size: Tensor

    @classmethod
    def around(cls, positions: Tensor, types: Tensor, centre: Tensor, size: Tensor, *, reach: float = CUTOFF) -> Site:
        """Keeps the atoms within `reach` (Å) of the box; atoms without a type (hydrogens) are left out."""
        beyond = ((positions - centre).abs() - size / 2).clamp(min=0)
        near = (types >= 0) & (beyond.square().sum(-1) < reach**2)
        return cls(positions[near], types[near], centre, size)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Site:
        """The same site elsewhere or in another precision."""
        moved = (x.to(device=device, dtype=dtype) for x in (self.positions, self.centre, self.size))
        positions, centre, size = moved
        return Site(positions, self.types.to(device), centre, size)

    @property
    def low(self) -> Tensor:
        """The corner with the least coordinates, `[3]`."""
        return self.centre - self.size / 2

    @property
    def high(self) -> Tensor:
        """The opposite corner, `[3]`."""
        return self.centre + self.size / 2

    def wall(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """What holds atoms in the box: energy `[...]` and gradient `[..., 3]` of the atoms at `[..., 3]`.

        Zero inside; outside `WALL * (sqrt(1 + s^2) - 1)` with the distance s to the box in Å: quadratic, then linear.
        """
        beyond = positions - torch.minimum(torch.maximum(positions, self.low), self.high)
        root = torch.sqrt(1 + beyond.square().sum(-1))
        return WALL * (root - 1), WALL * beyond / root.unsqueeze(-1)
