"""A site and a ligand of random atoms, dense as in a pocket, for the tests of the score."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.io.atom_types import AtomType
from eqcli.models.docking.site import Site

HEAVY = 9
TYPES = torch.tensor([0, 1, 3, 8, 9, 12, 13, 10, 18, -1, -1])
PAIRS = torch.tensor([[0, 4], [0, 5], [1, 6], [2, 7], [3, 8], [0, 8]])


def a_site(size: float = 9.0, dtype: torch.dtype = torch.float64) -> Site:
    """A box of this edge in the middle of 30 Å of atoms, one per 25 Å^3, with a hole for the ligand."""
    generator = torch.Generator().manual_seed(1)
    positions = torch.rand(1080, 3, generator=generator, dtype=torch.float64) * 30 - 15
    positions = positions[positions.norm(dim=-1) > 4.5]
    types = torch.randint(0, len(AtomType), (len(positions),), generator=generator)
    centre, edge = torch.zeros(3, dtype=torch.float64), torch.full((3,), size, dtype=torch.float64)
    return Site.around(positions, types, centre, edge).to(dtype=dtype)


def some_poses(count: int, spread: float = 1.3, dtype: torch.dtype = torch.float64) -> Tensor:
    """Positions `[count, 11, 3]` about the middle of the site."""
    generator = torch.Generator().manual_seed(2)
    return spread * torch.randn(count, len(TYPES), 3, generator=generator, dtype=dtype)
