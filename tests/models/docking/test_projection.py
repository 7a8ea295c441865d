"""Drawing points back to rigid distances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.graph.complex_batch import Rigid
from eqcli.models.docking.projection import MISFIT, projected
from tests.contracts.docking_complexes import zigzag
from tests.rotations import random_rotation


def a_case(seed: int = 0, size: float = 0.3) -> tuple[Tensor, Tensor, Rigid]:
    _, positions, bonds = zigzag(10, seed)
    pairs = torch.cat([bonds[:, :2].T, torch.stack([bonds[:-1, 0], bonds[1:, 1]])], dim=1)
    lengths = (positions[pairs[0]] - positions[pairs[1]]).norm(dim=1)
    noise = torch.randn(positions.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return positions, positions + size * noise, Rigid(pairs, lengths)


def misfit(x: Tensor, rigid: Rigid) -> Tensor:
    return ((x[rigid.pairs[0]] - x[rigid.pairs[1]]).square().sum(1) - rigid.lengths.square()).square().sum()


def test_what_fits_stays() -> None:
    positions, _, rigid = a_case()
    assert torch.allclose(projected(positions, rigid, steps=20, rate=0.01), positions, atol=1e-12)


def test_no_steps_and_no_pairs_change_nothing() -> None:
    _, x, rigid = a_case()
    assert torch.equal(projected(x, rigid, steps=0, rate=0.01), x)
    nothing = Rigid(rigid.pairs[:, :0], rigid.lengths[:0])
    assert torch.equal(projected(x, nothing, steps=3, rate=0.01), x)


def test_a_step_is_one_of_gradient_descent() -> None:
    _, x, rigid = a_case()
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(misfit(leaf, rigid), leaf)
    assert torch.allclose(projected(x, rigid, steps=1, rate=1e-3), x - 1e-3 * slope, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_steps_lead_to_the_rigid_distances(seed: int) -> None:
    _, x, rigid = a_case(seed)
    values = [float(misfit(projected(x, rigid, steps=n, rate=5e-3), rigid)) for n in (0, 1, 10, 400)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-3 * values[0]


def test_the_middle_stays_and_motions_pass_through() -> None:
    _, x, rigid = a_case(1)
    found = projected(x, rigid, steps=5, rate=2e-3)
    assert torch.allclose(found.mean(0), x.mean(0), atol=1e-12)
    for turn in (random_rotation(2), -random_rotation(3)):
        there = projected(x @ turn.T + 40.0, rigid, steps=5, rate=2e-3)
        assert torch.allclose(there, found @ turn.T + 40.0, atol=1e-9)


def test_stretched_clouds_are_not_thrown_apart() -> None:
    """Plain descent from there would not come back: a pair moves by no more than a bounded misfit asks for."""
    positions, _, rigid = a_case()
    far = 30.0 * positions
    assert misfit(far - 1e-3 * torch.autograd.functional.jacobian(lambda x: misfit(x, rigid), far), rigid) > misfit(
        far, rigid
    )
    found = projected(far, rigid, steps=1, rate=1e-3)
    assert misfit(found, rigid) < misfit(far, rigid)
    assert (found - far).norm(dim=1).max() <= 4 * 4e-3 * MISFIT * (far[1:] - far[:-1]).norm(dim=1).max() * 2


def test_differentiable() -> None:
    _, x, rigid = a_case()
    assert torch.autograd.gradcheck(
        lambda y: projected(y, rigid, steps=3, rate=1e-3), x.clone().requires_grad_(), atol=1e-6
    )
