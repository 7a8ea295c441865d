"""The terms of the loss against slow references and cases that can be read off."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.graph.complex_batch import ComplexBatch, Truth, joined_sides
from eqcli.graph.ligand_graph import ligand_graph
from eqcli.graph.residue_graph import residue_graph
from eqcli.models.docking.docking_losses import intersection_loss, position_loss, shape_loss, transport_loss
from tests.contracts.docking_complexes import batch_of, chain, truth_of, zigzag
from tests.rotations import random_rotation


def two() -> tuple[ComplexBatch, Truth]:
    ligands = []
    for seed, atoms in enumerate((6, 9)):
        codes, positions, bonds = zigzag(atoms, seed)
        ligands.append((ligand_graph(codes, positions, bonds), bonds))
    batch = batch_of([residue_graph(*chain(12, 1)), residue_graph(*chain(8, 2))], ligands)
    return batch, truth_of(batch)


def shaken(x: Tensor, seed: int, size: float = 1.0) -> Tensor:
    return x + size * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


def test_position_loss_counts_every_complex_alike() -> None:
    batch, truth = two()
    found = truth.poses.clone()
    assert position_loss(found, batch.ligand, truth) == 0
    found[:6] += torch.tensor([1.0, 2.0, 2.0])
    assert position_loss(found, batch.ligand, truth) == pytest.approx(9.0 / 2)
    found[6] += torch.tensor([3.0, 0.0, 0.0])
    assert position_loss(found, batch.ligand, truth) == pytest.approx((9.0 + 9.0 / 9) / 2)


def test_shape_loss_sees_no_motion() -> None:
    batch, truth = two()
    turned = truth.poses.clone()
    turned[:6] = turned[:6] @ random_rotation(1).T + 20.0
    turned[6:] = turned[6:] @ random_rotation(2).T - 3.0
    assert shape_loss(turned, batch.ligand, truth) < 1e-12
    bent = shaken(truth.poses, 0)
    from scipy.spatial.transform import Rotation

    expected = []
    for a, b in zip(bent.split([6, 9]), truth.poses.split([6, 9]), strict=True):
        here, there = (x - x.mean(0) for x in (a, b))
        expected.append(Rotation.align_vectors(there.numpy(), here.numpy())[1] ** 2 / len(a))
    assert float(shape_loss(bent, batch.ligand, truth)) == pytest.approx(np.mean(expected))
    assert shape_loss(bent, batch.ligand, truth) < position_loss(bent, batch.ligand, truth)


def test_transport_loss_is_zero_where_key_points_are_the_pocket() -> None:
    """And the cheapest pairing otherwise; the ligand's points move with its best superposition."""
    batch, truth = two()
    evolved = batch.ligand.positions.clone()
    turns = [random_rotation(3), random_rotation(4)]
    own, there = [], []
    for turn, positions, points in zip(turns, truth.poses.split([6, 9]), truth.contacts.split([5, 5]), strict=True):
        own.append(points @ turn.T + 9.0)
        evolved[len(torch.cat(own)) // 10 * 6 :][: len(positions)] = positions @ turn.T + 9.0
        there.append(points)
    here, other = torch.stack(own), torch.stack(there)
    order = [3, 1, 4, 0, 2]
    loss = transport_loss(here[:, order], other[:, order], batch.ligand, truth, evolved)
    assert loss < 1e-12
    far = shaken(other, 5)
    expected = []
    for k in range(2):
        cost = torch.cdist(here[k], here[k]).square() + torch.cdist(other[k], far[k]).square()
        expected.append(min(sum(float(cost[i, j]) for i, j in enumerate(p)) / 5 for p in permutations(range(5))))
    assert float(transport_loss(here, far, batch.ligand, truth, evolved)) == pytest.approx(np.mean(expected))


def test_transport_loss_of_a_complex_without_contacts_is_zero() -> None:
    batch, truth = two()
    bare = replace(truth, contacts=truth.contacts[5:], contact_atoms=truth.contact_atoms[5:],
                   contact_counts=torch.tensor([0, 5]))  # fmt: skip
    points = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = transport_loss(points, points, batch.ligand, bare, batch.ligand.positions)
    whole = transport_loss(points, points, batch.ligand, truth, batch.ligand.positions)
    assert torch.isfinite(found)
    assert 0 < found < whole


def slow_intersection(ligand: np.ndarray, receptor: np.ndarray, sigma: float, gamma: float) -> float:
    total = 0.0
    for points, others in ((ligand, receptor), (receptor, ligand)):
        depths = []
        for x in points:
            level = sum(np.exp(-((x - a) ** 2).sum() / sigma) for a in others)
            depths.append(max(0.0, gamma + sigma * np.log(1e-3 + level)))
        total += float(np.mean(depths))
    return total


def test_intersection_loss_is_the_sum_by_loops() -> None:
    batch, _ = two()
    receptor = batch.receptor.positions
    found = torch.cat([batch.ligand.positions[:6] + receptor[3], batch.ligand.positions[6:] + receptor[14]])
    expected = np.mean(
        [
            slow_intersection(a.numpy(), b.numpy(), 8.0, 1.0)
            for a, b in zip(found.split([6, 9]), receptor.split([12, 8]), strict=True)
        ]
    )
    loss = intersection_loss(found, batch.ligand, batch.receptor, sigma=8.0, gamma=1.0)
    assert float(loss) == pytest.approx(expected)
    assert loss > 0.1
    assert intersection_loss(found + 100.0, batch.ligand, batch.receptor, sigma=8.0, gamma=1.0) == 0


def test_intersection_pushes_out() -> None:
    """The gradient lowers the overlap, and is finite where atoms coincide."""
    side = joined_sides([ligand_graph(*zigzag(1, 0))])
    receptor = joined_sides([residue_graph(*chain(5, 0))])
    found = receptor.positions[2:3].clone().requires_grad_()
    loss = intersection_loss(found, side, receptor, sigma=8.0, gamma=1.0)
    loss.backward()
    assert torch.isfinite(found.grad).all()
    aside = (receptor.positions[2:3] + 0.5).requires_grad_()
    before = intersection_loss(aside, side, receptor, sigma=8.0, gamma=1.0)
    before.backward()
    after = intersection_loss(aside.detach() - 0.01 * aside.grad, side, receptor, sigma=8.0, gamma=1.0)
    assert after < before


def test_losses_have_no_gradient_through_the_plan_only() -> None:
    """What is differentiated is the cost of the plan; finite differences of key points agree."""
    batch, truth = two()
    generator = torch.Generator().manual_seed(3)
    here, there = (torch.randn(2, 7, 3, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    loss = transport_loss(here, there, batch.ligand, truth, batch.ligand.positions)
    slope = torch.autograd.grad(loss, here)[0]
    step = torch.zeros_like(here)
    step[1, 4, 2] = 1e-5
    with torch.no_grad():
        values = [
            transport_loss(here + sign * step, there, batch.ligand, truth, batch.ligand.positions) for sign in (1, -1)
        ]
    assert float((values[0] - values[1]) / 2e-5) == pytest.approx(float(slope[1, 4, 2]), rel=1e-5)
