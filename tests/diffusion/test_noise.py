from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.noise import SeededNoise, StateNoise

MANY = 100_000


def noise(samples: Tensor, counts: Tensor, seed: int = 0, dtype: torch.dtype = torch.float64) -> SeededNoise:
    batch = torch.repeat_interleave(counts)
    within = torch.arange(len(batch)) - (counts.cumsum(0) - counts)[batch]
    return SeededNoise(seed, samples, batch, within, dtype)


def many(seed: int = 0, dtype: torch.dtype = torch.float64) -> SeededNoise:
    return noise(torch.arange(MANY), torch.ones(MANY, dtype=torch.int64), seed, dtype)


DRAWS = ["normal_atoms", "uniform_atoms", "normal_crystals", "uniform_crystals"]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_structure_has_its_noise_in_every_batch(draw: str) -> None:
    samples, counts = torch.tensor([4, 0, 9]), torch.tensor([2, 3, 1])
    together, alone = noise(samples, counts), noise(samples[1:2], counts[1:2])
    for width in (3, 1, 7):
        whole, own = getattr(together, draw)(width), getattr(alone, draw)(width)
        assert torch.equal(whole[2:5] if draw.endswith("atoms") else whole[1:2], own)


@pytest.mark.parametrize("draw", DRAWS)
def test_everything_that_may_tell_numbers_apart_does(draw: str) -> None:
    samples, counts = torch.tensor([0, 1, 2, 2**40]), torch.tensor([3, 3, 2, 1])
    seen = torch.cat(
        [
            getattr(one, draw)(4).flatten()
            for seed in (0, 1, 2**63, 2**64 - 1)
            for one in [noise(samples, counts, seed)]
            for _ in range(3)
        ]
    )
    assert len(seen.unique()) == len(seen)


def test_a_wider_draw_begins_with_the_narrow_one() -> None:
    wide, narrow = many().normal_atoms(5), many().normal_atoms(2)
    assert torch.equal(wide[:, :2], narrow)


@pytest.mark.parametrize("draw", ["uniform_atoms", "uniform_crystals"])
def test_uniform_numbers(draw: str) -> None:
    """Kolmogorov and Smirnov's distance, and correlations of columns, draws and neighbouring samples."""
    source = many()
    found = torch.cat([getattr(source, draw)(2), getattr(source, draw)(1)], dim=1)
    steps = torch.arange(1, MANY + 1, dtype=torch.float64) / MANY
    for column in found.T:
        assert float((column.sort().values - steps).abs().max()) < 2.0 / math.sqrt(MANY)
    later = torch.cat([found, found.roll(1, 0)], dim=1)
    correlations = torch.corrcoef(later.T) - torch.eye(6, dtype=torch.float64)
    assert float(correlations.abs().max()) < 4.5 / math.sqrt(MANY)


@pytest.mark.parametrize("draw", ["normal_atoms", "normal_crystals"])
def test_normal_numbers(draw: str) -> None:
    found = getattr(many(seed=3), draw)(3)
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        spread = math.sqrt(math.prod(range(1, 2 * power, 2)) / found.numel())
        assert float(found.pow(power).mean()) == pytest.approx(moment, abs=4.5 * spread)


def test_numbers_stay_below_one_in_every_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest of them are rounded up otherwise."""
    monkeypatch.setattr("eqcli.diffusion.noise._mixed", lambda x: torch.full_like(x, -1))
    for dtype in (torch.float32, torch.float64):
        source = noise(torch.arange(2), torch.tensor([1, 2]), dtype=dtype)
        for draw in ("uniform_atoms", "uniform_crystals"):
            assert float(getattr(source, draw)(2).max()) < 1.0
        assert bool(source.normal_atoms(2).isfinite().all())


def test_precisions_agree() -> None:
    single, double = many(dtype=torch.float32), many()
    for draw in DRAWS:
        one, other = getattr(single, draw)(2), getattr(double, draw)(2)
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, atol=1e-6, rtol=1e-6)


def test_torchs_own_state() -> None:
    """The numbers of a training are those of the state that its checkpoints hold."""
    like = torch.zeros(1, dtype=torch.float64)
    torch.manual_seed(4)
    source = StateNoise(5, 2, like)
    found = [getattr(source, draw)(3) for draw in DRAWS]
    torch.manual_seed(4)
    expected = [
        draw(rows, 3, dtype=torch.float64)
        for draw, rows in ((torch.randn, 5), (torch.rand, 5), (torch.randn, 2), (torch.rand, 2))
    ]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
