"""A ligand as a graph of its heavy atoms."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.graph.complex_batch import Side
from eqcli.graph.residue_graph import RADIAL, distance_features, mean_distances

CUTOFF = 5.0
"""Å; heavy atoms of the conformer that are closer are joined."""

BOND_KINDS = 5
"""No bond, single, double, triple, aromatic."""

EDGE_FEATURES = RADIAL + BOND_KINDS


def ligand_graph(codes: Tensor, positions: Tensor, bonds: Tensor) -> Side:
    """The graph of one conformer.

    Parameters
    ----------
    codes
        Categories of each atom, `[N, F]`.
    positions
        Å, `[N, 3]`.
    bonds
        Two atoms and the kind of each bond (1 to 4), `[M, 3]`.
    """
    distances = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
    kinds = torch.zeros(len(positions), len(positions), dtype=torch.int64, device=positions.device)
    kinds[bonds[:, 0], bonds[:, 1]] = bonds[:, 2]
    kinds[bonds[:, 1], bonds[:, 0]] = bonds[:, 2]
    joined = (distances < CUTOFF) | (kinds > 0)
    joined.fill_diagonal_(False)
    receiver, sender = joined.nonzero(as_tuple=True)
    edges = torch.stack([sender, receiver])
    lengths = distances[receiver, sender]
    bond = torch.nn.functional.one_hot(kinds[receiver, sender], BOND_KINDS).to(positions.dtype)
    return Side(
        codes,
        mean_distances(positions, edges, lengths),
        positions,
        torch.tensor([len(positions)], device=positions.device),
        edges,
        torch.cat([distance_features(lengths), bond], dim=1),
    )
