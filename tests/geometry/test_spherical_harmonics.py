from __future__ import annotations

from math import pi, sqrt

import pytest
import torch
from e3nn import o3
from scipy.special import sph_harm_y

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.spherical_harmonics import SphericalHarmonics

AXES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


def directions(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    return torch.cat([torch.nn.functional.normalize(v, dim=1), AXES])


def by_coupling(lmax: int, v: torch.Tensor) -> torch.Tensor:
    """The slow reference: each degree from the one before by its coupling with the direction."""
    degrees = [torch.ones_like(v[:, :1]), sqrt(3) * v]
    for degree in range(2, lmax + 1):
        coupling = clebsch_gordan(degree - 1, 1, degree)
        factor = sqrt(2 * degree + 1) / (coupling[degree - 1, 1, degree] * sqrt(2 * degree - 1))
        degrees.append(factor * torch.einsum("ei,ej,ijk->ek", degrees[-1], v, coupling))
    return torch.cat(degrees[: lmax + 1], dim=1)


def by_scipy(lmax: int, v: torch.Tensor) -> torch.Tensor:
    """Complex harmonics about the axis y, made real; z and x take the places of x and y."""
    theta, phi = torch.atan2(v[:, [0, 2]].norm(dim=1), v[:, 1]).numpy(), torch.atan2(v[:, 0], v[:, 2]).numpy()
    columns = []
    for degree in range(lmax + 1):
        for m in range(-degree, degree + 1):
            value = torch.from_numpy(sph_harm_y(degree, abs(m), theta, phi)) * (-1) ** m * sqrt(4 * pi)
            columns.append(value.real if m == 0 else sqrt(2) * (value.imag if m < 0 else value.real))
    return torch.stack(columns, dim=1)


def test_agrees_with_e3nn() -> None:
    v = directions(50)
    expected = o3.spherical_harmonics(list(range(12)), v, normalize=True, normalization="component")
    torch.testing.assert_close(SphericalHarmonics(11).double()(v), expected, atol=1e-12, rtol=0)


def test_agrees_with_scipy() -> None:
    v = directions(50)
    torch.testing.assert_close(SphericalHarmonics(12).double()(v), by_scipy(12, v), atol=1e-12, rtol=0)


@pytest.mark.parametrize("lmax", [1, 2, 5, 12])
def test_derivatives_to_third_order_agree_with_the_reference(lmax: int) -> None:
    v = directions(6).requires_grad_(True)
    weight = torch.randn((lmax + 1) ** 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for values in (SphericalHarmonics(lmax).double()(v), by_coupling(lmax, v)):
        orders = [values]
        for power in (2, 2, 1):
            (gradient,) = torch.autograd.grad(((orders[-1] @ weight) ** power).sum(), v, create_graph=True)
            orders.append(gradient)
            weight = weight[:3]
        weight = torch.randn((lmax + 1) ** 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        found.append(orders)
    for ours, expected in zip(*found, strict=True):
        assert bool(ours.isfinite().all())
        assert float((ours - expected).detach().abs().max() / expected.detach().abs().max()) < 1e-12


def test_each_degree_has_the_norm_of_its_dimension() -> None:
    y = SphericalHarmonics(12).double()(directions(20))
    for degree in range(13):
        norms = y[:, degree**2 : (degree + 1) ** 2].square().sum(1)
        torch.testing.assert_close(norms, torch.full_like(norms, 2 * degree + 1), atol=1e-12, rtol=0)


def test_solid_harmonics_are_homogeneous_and_harmonic() -> None:
    harmonics = SphericalHarmonics(6).double()
    v = (directions(4)[:4] * torch.linspace(0.2, 2.5, 4, dtype=torch.float64)[:, None]).requires_grad_(True)
    degrees = torch.tensor([degree for degree in range(7) for _ in range(2 * degree + 1)])
    scale = torch.tensor(1.7, dtype=torch.float64) ** degrees
    torch.testing.assert_close(harmonics(1.7 * v), scale * harmonics(v), atol=0, rtol=1e-12)
    for column in (6, 18, 40):
        (gradient,) = torch.autograd.grad(harmonics(v)[:, column].sum(), v, create_graph=True)
        second = [torch.autograd.grad(gradient[:, i].sum(), v, retain_graph=True)[0][:, i] for i in range(3)]
        laplacian = torch.stack(second).sum(0)
        torch.testing.assert_close(laplacian, torch.zeros_like(laplacian), atol=1e-9, rtol=0)
        assert float(second[1].abs().max()) > 0.1
    origin = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(harmonics(origin).sum(), origin, create_graph=True)
    torch.testing.assert_close(gradient, torch.full((1, 3), sqrt(3), dtype=torch.float64))


def test_gradients_are_right_at_the_poles() -> None:
    harmonics = SphericalHarmonics(4).double()
    v = directions(2).requires_grad_(True)
    assert torch.autograd.gradcheck(harmonics, v)
    assert torch.autograd.gradgradcheck(harmonics, v)


def test_hessians_may_be_batched() -> None:
    harmonics = SphericalHarmonics(3).double()
    v = directions(1)[:2].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(harmonics(v).pow(2).sum(), v, create_graph=True)
    units = torch.eye(6, dtype=torch.float64).reshape(6, 2, 3)
    (batched,) = torch.autograd.grad(gradient, v, units, is_grads_batched=True, retain_graph=True)
    rows = [torch.autograd.grad(gradient, v, unit, retain_graph=True)[0] for unit in units]
    torch.testing.assert_close(batched, torch.stack(rows), atol=1e-12, rtol=0)


def test_single_precision_keeps_its_digits_to_the_highest_degree() -> None:
    v = directions(500)
    exact = SphericalHarmonics(12).double()(v)
    found = SphericalHarmonics(12).float()(v.float())
    assert found.dtype == torch.float32
    assert float((found.double() - SphericalHarmonics(12).double()(v.float().double())).abs().max()) < 1e-5
    assert float((found.double() - exact).abs().max()) < 1e-4


def test_constants_stay_exact_through_a_cast_to_single_precision_and_back() -> None:
    v = directions(5)
    exact = SphericalHarmonics(4).double()(v)
    assert torch.equal(SphericalHarmonics(4).double().float().double()(v), exact)


def test_any_leading_dimensions_and_no_vectors_at_all() -> None:
    harmonics = SphericalHarmonics(3).double()
    v = directions(6).reshape(3, 4, 3)
    assert torch.equal(harmonics(v).flatten(0, 1), harmonics(v.flatten(0, 1)))
    assert harmonics(v[:0]).shape == (0, 4, 16)
    assert torch.equal(SphericalHarmonics(0).double()(v), torch.ones(3, 4, 1).double())


def test_compiles_without_graph_breaks() -> None:
    harmonics = SphericalHarmonics(6).double()
    v = directions(5).requires_grad_(True)
    torch.compiler.reset()
    compiled = torch.compile(harmonics, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(v), harmonics(v), atol=1e-13, rtol=0)
    expected = torch.autograd.grad(harmonics(v).pow(3).sum(), v)
    torch.testing.assert_close(torch.autograd.grad(compiled(v).pow(3).sum(), v), expected, atol=1e-12, rtol=1e-12)
