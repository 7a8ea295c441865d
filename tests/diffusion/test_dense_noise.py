from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise, seeded_noise, state_noise

DRAWS = ["normal_atoms", "uniform_atoms", "uniform_pairs", "uniform_molecules"]


def noise(samples: list[int], width: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> DenseNoise:
    return seeded_noise(seed, torch.tensor(samples), width, dtype)


def part(values: Tensor, draw: str, row: int, width: int) -> Tensor:
    """The numbers of one molecule and its first atoms."""
    if draw == "uniform_pairs":
        return values[row, :width, :width]
    return values[row, :width] if draw.endswith("atoms") else values[row]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_molecule_has_its_numbers_in_every_batch_and_size(draw: str) -> None:
    together, alone = noise([4, 0, 9], 7), noise([9], 3)
    for width in (3, 1, 2):
        whole, own = getattr(together, draw)(width), getattr(alone, draw)(width)
        assert torch.equal(part(whole, draw, 2, 3), part(own, draw, 0, 3))


@pytest.mark.parametrize("draw", DRAWS)
def test_everything_that_may_tell_numbers_apart_does(draw: str) -> None:
    seen = []
    for seed in (0, 1, 2**64 - 1):
        one = noise([0, 1, 2**40], 4, seed)
        for _ in range(3):
            found = getattr(one, draw)(2)
            if draw == "uniform_pairs":
                found = found[:, *torch.triu_indices(4, 4)]
            seen.append(found.flatten())
    assert len(torch.cat(seen).unique()) == sum(map(len, seen))


@pytest.mark.parametrize("source", ["seeded", "state"])
def test_pairs_are_symmetric_and_unlike_atoms(source: str) -> None:
    torch.manual_seed(0)
    one = noise([0, 1], 60) if source == "seeded" else state_noise(2, 60, torch.zeros(1, dtype=torch.float64))
    atoms, pairs = one.uniform_atoms(1), one.uniform_pairs(2)
    assert pairs.shape == (2, 60, 60, 2)
    assert torch.equal(pairs, pairs.transpose(1, 2))
    first, second = torch.triu_indices(60, 60)
    assert len(pairs[:, first, second].unique()) == 2 * 2 * 60 * 61 // 2
    assert len(torch.cat([atoms.flatten(), pairs[:, first, second].flatten()]).unique()) == 120 + 4 * 60 * 61 // 2


@pytest.mark.parametrize("source", ["seeded", "state"])
@pytest.mark.parametrize("draw", DRAWS)
def test_moments_and_neighbours(source: str, draw: str) -> None:
    """Means, variances, and no likeness of columns, of draws or of molecules."""
    torch.manual_seed(3)
    many, width = 6000, 3
    one = noise(list(range(many)), width) if source == "seeded" else state_noise(many, width, torch.zeros(1).double())
    drawn = [getattr(one, draw)(2) for _ in range(2)]
    flat = [d[:, *torch.triu_indices(width, width)] if draw == "uniform_pairs" else d for d in drawn]
    columns = torch.stack([f.flatten(1) for f in flat], dim=1).flatten(1)  # [molecules, draws x places]
    mean, variance = (0.0, 1.0) if draw == "normal_atoms" else (0.5, 1.0 / 12.0)
    count = columns.numel()
    assert float(columns.mean()) == pytest.approx(mean, abs=4.5 * math.sqrt(variance / count))
    assert float(columns.var()) == pytest.approx(variance, rel=4.5 * math.sqrt(2.0 / count))
    later = torch.cat([columns, columns.roll(1, 0)], dim=1)
    apart = torch.corrcoef(later.T) - torch.eye(later.shape[1])
    assert float(apart.abs().max()) < 5.0 / math.sqrt(many)


@pytest.mark.parametrize("draw", DRAWS)
def test_precisions_agree(draw: str) -> None:
    single, double = noise([3, 5], 6, dtype=torch.float32), noise([3, 5], 6)
    one, other = getattr(single, draw)(2), getattr(double, draw)(2)
    assert one.dtype == torch.float32
    torch.testing.assert_close(one.double(), other, atol=1e-6, rtol=1e-6)


def test_torchs_own_state_makes_them_again() -> None:
    found = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        one = state_noise(2, 3, torch.zeros(1, dtype=torch.float64))
        found.append([getattr(one, draw)(2) for draw in DRAWS])
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(found[0], found[2], strict=True))
