from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.assignment import assigned, transported
from eqcli.geometry.centred import centred
from tests.rotations import random_rotation

COUNTS = torch.tensor([6, 1, 4, 2, 5, 3])
MASK = torch.arange(6) < COUNTS.unsqueeze(1)


def clouds(seed: int, shape: tuple[int, ...] = (6, 6, 3)) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return centred(torch.randn(*shape, generator=draw, dtype=torch.float64), MASK)


def squared(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().sum(dim=(1, 2))


@pytest.mark.parametrize("seed", range(4))
def test_no_permutation_is_nearer(seed: int) -> None:
    mobile, target = clouds(2 * seed), clouds(2 * seed + 1)
    found = assigned(mobile, target, MASK)
    for row, n in enumerate(COUNTS.tolist()):
        best = min(
            float((mobile[row, list(order)] - target[row, :n]).square().sum()) for order in permutations(range(n))
        )
        assert float((found[row, :n] - target[row, :n]).square().sum()) == pytest.approx(best, abs=1e-12)
        # A permutation: each of the points is there once, and those beyond stay.
        assert float(torch.cdist(found[row, :n], mobile[row, :n]).min(dim=1).values.max()) < 1e-12
        assert len({tuple(point) for point in found[row, :n].tolist()}) == n
    assert torch.equal(found[~MASK], mobile[~MASK])


@pytest.mark.parametrize("rounds", [1, 3])
def test_transport_never_takes_points_farther(rounds: int) -> None:
    for seed in range(20):
        mobile, target = clouds(seed), clouds(seed + 100)
        found = transported(mobile, target, MASK, rounds)
        assert bool((squared(found, target) <= squared(mobile, target) + 1e-12).all())
        permuted = assigned(mobile, target, MASK)
        assert bool((squared(found, target) <= squared(permuted, target) + 1e-12).all())
        # It is the same cloud, turned: sorted distances from the centre and the drift stay.
        torch.testing.assert_close(found.norm(dim=-1).sort(dim=1).values, mobile.norm(dim=-1).sort(dim=1).values)
        torch.testing.assert_close(found.sum(dim=1), torch.zeros(6, 3, dtype=torch.float64), atol=1e-12, rtol=0.0)


def test_more_rounds_are_no_worse() -> None:
    mobile, target = clouds(1), clouds(2)
    one, four = (squared(transported(mobile, target, MASK, n), target) for n in (1, 4))
    assert bool((four <= one + 1e-12).all())
    assert float((one - four).max()) > 1e-3


def test_hands_are_kept() -> None:
    """A mirror image is not laid onto its original by turning."""
    target = clouds(5)[:1]
    mirrored = target * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    found = transported(mirrored, target, MASK[:1], 3)
    assert float(squared(found, target)) > 1e-3
    # A small turn, which leaves the order alone, is taken back.
    skew = 0.05 * (random_rotation(1) - random_rotation(1).T)
    near = target @ torch.linalg.matrix_exp(skew).T
    assert float(squared(near, target)) > 1e-3
    torch.testing.assert_close(transported(near, target, MASK[:1]), target, atol=1e-10, rtol=0.0)


def test_turned_together_they_stay_together() -> None:
    """What makes a loss with transport invariant: both clouds turned or mirrored give the turned result."""
    mobile, target = clouds(3), clouds(4)
    plain = transported(mobile, target, MASK)
    for matrix in (random_rotation(2), -random_rotation(3)):
        found = transported(mobile @ matrix.T, target @ matrix.T, MASK)
        torch.testing.assert_close(found, plain @ matrix.T, atol=1e-10, rtol=0.0)


def test_transported_noise_is_still_isotropic() -> None:
    """Over turned copies of one target it has no direction, and without a look at the order, the variance it had."""
    rows = 3000
    mask = torch.ones(rows, 4, dtype=torch.bool)
    draw = torch.Generator().manual_seed(0)
    noise = centred(torch.randn(rows, 4, 3, generator=draw, dtype=torch.float64), mask)
    one = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    matrices = torch.stack([random_rotation(seed) for seed in range(rows)])
    found = transported(noise, centred(torch.einsum("bij,nj->bni", matrices, one), mask), mask)
    second = torch.einsum("bni,bnj->ij", found, found) / (4 * rows)
    torch.testing.assert_close(second, 0.75 * torch.eye(3, dtype=torch.float64), atol=0.03, rtol=0.0)


def test_centred() -> None:
    points = torch.randn(6, 6, 3, dtype=torch.float64) + 7.0
    found = centred(points, MASK)
    assert not found[~MASK].any()
    torch.testing.assert_close(found.sum(dim=1), torch.zeros(6, 3, dtype=torch.float64), atol=1e-12, rtol=0.0)
    apart = (points[0, 0] - points[0, 3]) - (found[0, 0] - found[0, 3])
    assert float(apart.abs().max()) < 1e-12
    # What stands beyond the atoms does not count, and a molecule without atoms is none.
    torch.testing.assert_close(centred(torch.where(MASK.unsqueeze(-1), points, 1e6), MASK), found)
    assert not centred(points, torch.zeros_like(MASK)).any()
    torch.testing.assert_close(centred(found, MASK), found)
