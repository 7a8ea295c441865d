"""Receptors and ligands as two graphs that are not joined: what a docking network is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eqcli.graph.moved import moved

RESIDUE_KINDS = 21
"""Twenty amino acids, and any other."""


@dataclass(frozen=True)
class Side:
    """The receptors, or the ligands, of B complexes: nodes that are residues or heavy atoms.

    Attributes
    ----------
    codes
        Categories of each node, `[n, F]` int64.
    scalars
        Numbers of each node that no motion changes, `[n, S]`.
    positions
        Å, `[n, 3]`.
    counts
        Nodes of each member, `[B]` int64.
    edges
        Sender and receiver of each edge, `[2, E]`, sorted by receiver.
    edge_features
        `[E, D]`, which no motion changes.
    """

    codes: Tensor
    scalars: Tensor
    positions: Tensor
    counts: Tensor
    edges: Tensor
    edge_features: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def batch(self) -> Tensor:
        """The member that each node belongs to, `[n]`."""
        return torch.arange(len(self), device=self.counts.device).repeat_interleave(self.counts)

    @property
    def starts(self) -> Tensor:
        """First node of each member, `[B]`."""
        return self.counts.cumsum(0) - self.counts

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Side:
        """Moved; `dtype` is that of the numbers which are not whole."""
        return moved(self, device, dtype)

    def at(self, positions: Tensor) -> Side:
        """With other positions."""
        return replace(self, positions=positions)


@dataclass(frozen=True)
class Rigid:
    """Pairs of ligand atoms whose distance no torsion changes.

    Attributes
    ----------
    pairs
        `[2, P]`, each pair once, over all ligands of the batch.
    lengths
        Å, `[P]`.
    """

    pairs: Tensor
    lengths: Tensor

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Rigid:
        return moved(self, device, dtype)


@dataclass(frozen=True)
class Truth:
    """The crystal poses of a batch.

    Attributes
    ----------
    poses
        Å, `[n, 3]`, one row for each ligand node.
    contacts
        Points of the pocket, Å, `[m, 3]`: the middle between a ligand atom and a receptor atom near it.
    contact_atoms
        The ligand node of each point, `[m]`.
    contact_counts
        Points of each complex, `[B]`.
    """

    poses: Tensor
    contacts: Tensor
    contact_atoms: Tensor
    contact_counts: Tensor

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Truth:
        return moved(self, device, dtype)


@dataclass(frozen=True)
class Judged:
    """Poses whose worth is to be told, each with the receptor atoms near it.

    Attributes
    ----------
    ligand_codes
        `[n, F]`, as those of a ligand `Side`.
    receptor_codes
        Categories of the receptor's atoms, `[m, G]`.
    counts
        Ligand atoms of each pose, `[P]`.
    edges
        Receptor atom and ligand atom of each pair within reach, `[2, E]`, sorted by ligand atom.
    lengths
        Å, `[E]`.
    bonds
        Bonded ligand atoms, both ways, `[2, M]`, sorted by the second.
    near
        Whether a pose is near-native, `[P]`, where that is known.
    """

    ligand_codes: Tensor
    receptor_codes: Tensor
    counts: Tensor
    edges: Tensor
    lengths: Tensor
    bonds: Tensor
    near: Tensor | None = None

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Judged:
        return moved(self, device, dtype)


@dataclass(frozen=True)
class ComplexBatch:
    """B complexes.

    Attributes
    ----------
    receptor
        Nodes are residues at their CA.
    ligand
        Nodes are heavy atoms, at any place: only the shape matters.
    rigid
        What the ligands keep.
    truth, judged
        What training knows besides.
    rows
        The number of each complex in its data set, `[B]`.
    """

    receptor: Side
    ligand: Side
    rigid: Rigid
    truth: Truth | None = None
    judged: Judged | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ligand)

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> ComplexBatch:
        """Moved to a device; `dtype` is that of the numbers which are not whole."""
        return moved(self, device, dtype)


def joined_sides(sides: list[Side]) -> Side:
    """Several batches in one."""
    shifts = torch.tensor([0, *[len(side.positions) for side in sides]]).cumsum(0)[:-1]
    edges = [side.edges + int(shift) for side, shift in zip(sides, shifts, strict=True)]
    return Side(
        torch.cat([side.codes for side in sides]),
        torch.cat([side.scalars for side in sides]),
        torch.cat([side.positions for side in sides]),
        torch.cat([side.counts for side in sides]),
        torch.cat(edges, dim=1),
        torch.cat([side.edge_features for side in sides]),
    )
