from __future__ import annotations

import torch
from e3nn import o3

from eqcli.geometry.spherical_harmonics import SphericalHarmonics


def directions(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    poles = torch.tensor([[0, 1, 0], [0, -1, 0], [1, 0, 0], [0, 0, 1.0]], dtype=torch.float64)
    return torch.cat([torch.nn.functional.normalize(v, dim=1), poles])


def test_agrees_with_e3nn() -> None:
    v = directions(50)
    expected = o3.spherical_harmonics(list(range(8)), v, normalize=True, normalization="component")
    torch.testing.assert_close(SphericalHarmonics(7).double()(v), expected, atol=1e-13, rtol=1e-13)


def test_each_degree_has_the_norm_of_its_dimension() -> None:
    y = SphericalHarmonics(5).double()(directions(20))
    for degree in range(6):
        norms = y[:, degree**2 : (degree + 1) ** 2].square().sum(1)
        torch.testing.assert_close(norms, torch.full_like(norms, 2 * degree + 1), atol=1e-12, rtol=0)


def test_second_derivatives_exist_at_the_poles() -> None:
    harmonics = SphericalHarmonics(4).double()
    v = directions(2).requires_grad_(True)
    assert torch.autograd.gradcheck(harmonics, v)
    assert torch.autograd.gradgradcheck(harmonics, v)


def test_constants_stay_exact_through_a_cast_to_single_precision_and_back() -> None:
    v = directions(5)
    exact = SphericalHarmonics(4).double()(v)
    assert torch.equal(SphericalHarmonics(4).double().float().double()(v), exact)
