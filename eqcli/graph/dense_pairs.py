"""Neighbours by trying all pairs of atoms and images, many structures at once, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.graph.all_pairs import pair_blocks
from eqcli.graph.pair_table import PairTable, sorted_table

BLOCK = 1 << 21
"""Pairs of atoms and images that are tried at once: about 0.5 GB."""


def reciprocal(cell: Tensor, pbc: Tensor) -> Tensor:
    """Columns that give the fractional coordinate along each period, `[B, 3, 3]`; zero where there is no period."""
    periods = torch.where(pbc.unsqueeze(2), cell, torch.zeros_like(cell))
    if not bool((pbc.any(1) & ~pbc.all(1)).any()):
        unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
        found: Tensor = torch.linalg.inv_ex(torch.where(pbc.unsqueeze(2), cell, unit)).inverse
        return torch.where(pbc.unsqueeze(1), found, torch.zeros_like(found))
    finite = torch.isfinite(periods).all(dim=2, keepdim=True).all(dim=1, keepdim=True)
    inverse: Tensor = torch.linalg.pinv(torch.where(finite, periods, torch.zeros_like(periods)))
    return inverse


def image_reach(cell: Tensor, pbc: Tensor, cutoff: float) -> Tensor:
    """Cells to look into along each direction on either side, `[B, 3]` int64, for atoms within one cell."""
    height = 1.0 / reciprocal(cell, pbc).norm(dim=1)
    return torch.where(pbc, (cutoff / height + 1e-9).floor() + 1, torch.zeros_like(height)).long()


def dense_pairs(positions: Tensor, atoms: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> PairTable:
    """What :func:`eqcli.graph.neighbours.neighbour_list` gives for each of B structures, whose boxes must be usable.

    `positions [N, 3]` and `cell [B, 3, 3]` float64 in Å, `atoms [B]` int64, `pbc [B, 3]` bool, all on one device.
    The work is quadratic in the atoms of a structure.
    """
    home = torch.repeat_interleave(atoms)
    periodic = bool(pbc.any())
    reach = image_reach(cell, pbc, cutoff) if periodic else torch.zeros_like(pbc, dtype=torch.int64)
    images = (2 * reach + 1).prod(dim=1)
    turns = _turns(positions, cell, pbc, home) if periodic else None
    # Blocks of whole receivers, which hold as many pairs as the largest number of images allows.
    limit = max(1, BLOCK // int(images.max())) if len(images) else 1
    found = []
    for block in pair_blocks(atoms, limit):
        receiver, sender, shift = block.receiver, block.sender, None
        if turns is not None:
            receiver, sender, shift = _with_images(receiver, sender, home[receiver], reach, images)
            shift = shift + turns[receiver] - turns[sender]
        near = squared_distances(positions, cell, home[receiver], receiver, sender, shift) < cutoff * cutoff
        itself = receiver == sender
        near &= ~(itself if shift is None else itself & (shift == 0).all(dim=1))
        rows = near.nonzero().squeeze(1)
        kept = rows.new_zeros(len(rows), 3) if shift is None else shift[rows]
        found.append((receiver[rows], sender[rows], kept))
    none = atoms.new_zeros(0)
    parts = zip(*found, strict=True) if found else [(none,), (none,), (none.view(0, 3),)]
    receiver, sender, shift = (torch.cat(part) for part in parts)
    owner = home[receiver]
    start = (atoms.cumsum(0) - atoms)[owner]
    return sorted_table(atoms, owner, receiver - start, sender - start, shift)


def _turns(positions: Tensor, cell: Tensor, pbc: Tensor, home: Tensor) -> Tensor:
    """The cell that each atom lies in, `[N, 3]` int64."""
    fractional = torch.bmm(positions.unsqueeze(1), reciprocal(cell, pbc)[home]).squeeze(1)
    return fractional.floor().long()


def _with_images(
    receiver: Tensor, sender: Tensor, owner: Tensor, reach: Tensor, images: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Every pair once for each image of its structure, and the shift to that image."""
    of_pair = images[owner]
    pair = torch.repeat_interleave(of_pair)
    turn = torch.arange(len(pair), device=pair.device) - (of_pair.cumsum(0) - of_pair)[pair]
    half = reach[owner[pair]]
    width = 2 * half + 1
    c = turn % width[:, 2]
    b = (turn // width[:, 2]) % width[:, 1]
    a = turn // (width[:, 2] * width[:, 1])
    return receiver[pair], sender[pair], torch.stack([a, b, c], dim=1) - half


def squared_distances(
    positions: Tensor, cell: Tensor, owner: Tensor, receiver: Tensor, sender: Tensor, shift: Tensor | None
) -> Tensor:
    """Å^2, `[E]`, with the roundings of the library that lists neighbours; None is no shift at all.

    Each product and sum is rounded on its own, in the library's order: a pair at the cutoff itself is
    inside or outside here as it is there, on every device.
    """
    vectors = positions.index_select(0, sender) - positions.index_select(0, receiver)
    if shift is not None:
        periods, turns = cell.index_select(0, owner), shift.to(cell.dtype)
        offset = turns[:, :1] * periods[:, 0]
        offset = offset + turns[:, 1:2] * periods[:, 1]
        vectors = vectors + (offset + turns[:, 2:] * periods[:, 2])
    squares = vectors * vectors
    return (squares[:, 0] + squares[:, 1]) + squares[:, 2]
