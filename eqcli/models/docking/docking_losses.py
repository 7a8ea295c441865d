"""The terms that a docking network learns from, each the mean over the complexes of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.kabsch import align
from eqcli.geometry.transport import transport_plan
from eqcli.graph.complex_batch import Side, Truth


def position_loss(found: Tensor, side: Side, truth: Truth) -> Tensor:
    """Mean square distance from the true pose, Å²."""
    return _means((found - truth.poses).square().sum(1), side).mean()


def shape_loss(found: Tensor, side: Side, truth: Truth) -> Tensor:
    """Mean square distance after the best superposition of each ligand, Å²."""
    return align(found, truth.poses, batch=side.batch, n_structures=len(side)).rmsd.square().mean()


def transport_loss(here: Tensor, there: Tensor, side: Side, truth: Truth, evolved: Tensor) -> Tensor:
    """Cheapest transport of the pocket's points to pairs of key points, Å².

    Ganea et al., ICLR 2022, equation 12. A point of the pocket lies at its ligand atom's place in the ligand's own
    frame, which the evolved ligand moves along with its best superposition on the true pose.

    Parameters
    ----------
    here, there
        Key points of ligand and receptor, `[B, K, 3]`.
    """
    motion = align(truth.poses, evolved.detach(), batch=side.batch, n_structures=len(side))
    total = here.new_zeros(())
    starts = (truth.contact_counts.cumsum(0) - truth.contact_counts).tolist()
    for row, (start, count) in enumerate(zip(starts, truth.contact_counts.tolist(), strict=True)):
        if count == 0:
            continue
        points = truth.contacts[start : start + count]
        own = points @ motion.rotation[row].T + motion.translation[row]
        cost = torch.cdist(own, here[row]).square() + torch.cdist(points, there[row]).square()
        total = total + (transport_plan(cost) * cost).sum()
    return total / len(side)


def intersection_loss(found: Tensor, ligand: Side, receptor: Side, *, sigma: float, gamma: float) -> Tensor:
    """How deep the atoms of each side lie within the surface of the other.

    Sverrisson et al. as in Ganea et al., ICLR 2022, equation 14: -sigma ln sum exp(-|x - a|^2 / sigma) is below
    gamma inside.
    """
    total = found.new_zeros(())
    near, far = found.split(ligand.counts.tolist()), receptor.positions.split(receptor.counts.tolist())
    for mobile, still in zip(near, far, strict=True):
        weights = torch.exp(-torch.cdist(mobile, still, compute_mode="donot_use_mm_for_euclid_dist").square() / sigma)
        for sums in (weights.sum(1), weights.sum(0)):
            total = total + (gamma + sigma * torch.log(1e-3 + sums)).clamp(min=0.0).mean()
    return total / len(ligand)


def _means(values: Tensor, side: Side) -> Tensor:
    """Mean over the nodes of each member, `[B]`."""
    sums = values.new_zeros(len(side)).index_add(0, side.batch, values)
    return sums / side.counts.to(values.dtype)
