"""Exponentials of many matrices against scipy's of single ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm, expm_frechet

from eqcli.engine.batched.matrix_exponential import exponential, exponential_derivative


def matrices(size: float, count: int = 12) -> torch.Tensor:
    return size * torch.randn(count, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("size", [0.0, 1e-8, 1e-3, 0.01, 0.05, 0.3, 1.0, 2.0])
def test_values_and_derivatives_to_the_last_digits(size):
    a = matrices(size)
    along = 50 * torch.randn(a.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found, derivative = exponential(a), exponential_derivative(a, along)
    for k in range(len(a)):
        value, slope = expm_frechet(a[k].numpy(), along[k].numpy())
        # Rounding is amplified by what lies between: the size of exp(|A|).
        tolerance = 2e-14 * np.linalg.norm(expm(np.abs(a[k].numpy())))
        np.testing.assert_allclose(found[k], value, rtol=0, atol=tolerance)
        np.testing.assert_allclose(derivative[k], slope, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize("size", [1e-3, 0.01, 1.0])
def test_a_matrix_does_not_depend_on_the_others(size):
    a = matrices(size)
    others = torch.cat([a, 50 * a[:1], a[:1] * torch.nan])
    assert torch.equal(exponential(a)[:1], exponential(a[:1]))
    assert torch.equal(exponential(others)[: len(a)], exponential(a))


def test_nothing_becomes_one_and_scales_stay_scales():
    nothing = torch.zeros(1, 3, 3, dtype=torch.float64)
    assert torch.equal(exponential(nothing)[0], torch.eye(3, dtype=torch.float64))
    scale = 0.7 * torch.eye(3, dtype=torch.float64)[None]
    assert torch.equal(exponential(scale)[0], exponential(scale)[0, 0, 0] * torch.eye(3, dtype=torch.float64))
