"""A receptor as a graph of its residues, described so that no motion changes the description.

Each residue has the frame of its backbone (N, CA, C); an edge holds the distance of two CA, and the place and
the orientation of the neighbour in the frame of the residue that listens (Ganea et al., ICLR 2022; Stärk et al.,
ICML 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.graph.complex_batch import Side

NEIGHBOURS = 10
"""Residues that each residue listens to."""

REACH = 30.0
"""Å; neighbours are never farther."""

WIDTHS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Å²; over which the mean place of the neighbours is taken."""

RADIAL = 15
EDGE_FEATURES = RADIAL + 12
SCALARS = len(WIDTHS)

CHUNK = 2048
"""Residues whose distances to all others are held at once."""


def residue_graph(
    amino_acids: Tensor, n: Tensor, ca: Tensor, c: Tensor, *, neighbours: int = NEIGHBOURS, reach: float = REACH
) -> Side:
    """The graph of one receptor.

    Parameters
    ----------
    amino_acids
        Code of each residue, `[R]`, below `RESIDUE_KINDS`.
    n, ca, c
        Positions of the backbone's atoms, Å, `[R, 3]`.
    neighbours
        How many residues each listens to.
    reach
        Å, the largest distance of two CA that are joined.
    """
    edges, lengths = nearest(ca, neighbours, reach)
    frames = backbone_frames(n, ca, c)
    sender, receiver = edges
    place = torch.einsum("eij,ej->ei", frames[receiver], ca[sender] - ca[receiver])
    turn = torch.einsum("eij,ekj->eik", frames[receiver], frames[sender])
    return Side(
        amino_acids.unsqueeze(1),
        mean_distances(ca, edges, lengths),
        ca,
        torch.tensor([len(ca)], device=ca.device),
        edges,
        torch.cat([distance_features(lengths), place / 10.0, turn.flatten(1)], dim=1),
    )


def nearest(points: Tensor, count: int, reach: float) -> tuple[Tensor, Tensor]:
    """Edges `[2, E]` from the `count` nearest points within reach to each point, and their lengths `[E]`."""
    senders, receivers, lengths = [], [], []
    take = min(count + 1, len(points))
    for start in range(0, len(points), CHUNK):
        # The difference itself, not the expanded square, whose rounding depends on where the points lie.
        part = torch.cdist(points[start : start + CHUNK], points, compute_mode="donot_use_mm_for_euclid_dist")
        rows = torch.arange(start, start + len(part), device=points.device)
        part[torch.arange(len(part), device=points.device), rows] = torch.inf
        found, which = part.topk(take, dim=1, largest=False)
        keep = found <= reach
        keep[:, count:] = False
        receivers.append(rows.unsqueeze(1).expand_as(which)[keep])
        senders.append(which[keep])
        lengths.append(found[keep])
    return torch.stack([torch.cat(senders), torch.cat(receivers)]), torch.cat(lengths)


def backbone_frames(n: Tensor, ca: Tensor, c: Tensor) -> Tensor:
    """Right-handed frames, rows are the axes, `[R, 3, 3]`."""
    first = _unit(n - ca)
    third = _unit(torch.linalg.cross(first, _unit(c - ca)))
    return torch.stack([first, torch.linalg.cross(third, first), third], dim=1)


def distance_features(lengths: Tensor, base: float = 1.5) -> Tensor:
    """Gaussians of growing width, `[E, 15]`."""
    widths = base ** torch.arange(RADIAL, device=lengths.device, dtype=lengths.dtype)
    return torch.exp(-lengths.square().unsqueeze(1) / widths)


def mean_distances(points: Tensor, edges: Tensor, lengths: Tensor) -> Tensor:
    """How far the weighted mean of the neighbours lies from each point, relative to their distance, `[n, 5]`.

    Near 0 inside, near 1 at the surface (Ganea et al., equation 16).
    """
    sender, receiver = edges
    count = len(points)
    found = []
    for width in WIDTHS:
        weight = torch.exp(-(lengths.square() - 1.0) / width) + 1e-9
        total = points.new_zeros(count).index_add(0, receiver, weight)
        vectors = (points[sender] - points[receiver]) * weight.unsqueeze(1)
        mean = points.new_zeros(count, 3).index_add(0, receiver, vectors)
        scale = points.new_zeros(count).index_add(0, receiver, weight * lengths)
        found.append(torch.where(total > 0, mean.norm(dim=1) / scale.clamp(min=1e-9), torch.zeros_like(total)))
    return torch.stack(found, dim=1)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6)
