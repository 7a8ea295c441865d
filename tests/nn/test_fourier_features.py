from __future__ import annotations

import math

import torch

from eqcli.nn.fourier_features import TimeEmbedding, difference_waves, torus_waves


def positions(n: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pairs(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    atoms = torch.arange(n)
    return atoms.repeat(n), atoms.repeat_interleave(n)


def test_waves_of_differences_are_sines_and_cosines_of_them() -> None:
    x, (sender, receiver) = positions(), pairs(6)
    found = difference_waves(torus_waves(x, 5), sender, receiver)
    angles = 2 * math.pi * (x[sender] - x[receiver]).unsqueeze(-1) * torch.arange(5)
    expected = torch.cat([angles.sin().flatten(1), angles.cos().flatten(1)], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


def test_shifts_do_not_show() -> None:
    x, (sender, receiver) = positions(), pairs(6)
    expected = difference_waves(torus_waves(x, 128), sender, receiver)
    whole = torch.randint(-1000, 1000, x.shape, generator=torch.Generator().manual_seed(1)).double()
    for shift in (whole, torch.tensor([0.123, -7.4, 2.0])):
        found = difference_waves(torus_waves(x + shift, 128), sender, receiver)
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_single_precision_keeps_its_digits_at_high_frequencies() -> None:
    x = positions()
    exact, single = (torch.cat(torus_waves(p, 128), dim=1) for p in (x.float().double(), x.float()))
    torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=0)


def test_waves_have_their_derivatives() -> None:
    sender, receiver = pairs(3)
    x = positions(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: difference_waves(torus_waves(p, 3), sender, receiver), (x,))


def test_times_are_told_apart() -> None:
    embedding = TimeEmbedding(64)
    times = torch.arange(1001, dtype=torch.float64)
    found = embedding(times)
    assert found.shape == (1001, 64)
    assert float(found.abs().max()) <= 1.0
    apart = torch.cdist(found, found) + 10.0 * torch.eye(1001)
    assert float(apart.min()) > 0.3
    fastest, slowest = times.sin(), (times * 1e-4).sin()
    torch.testing.assert_close(found[:, 0], fastest)
    torch.testing.assert_close(found[:, 31], slowest, atol=1e-6, rtol=1e-6)
