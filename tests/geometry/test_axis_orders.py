from __future__ import annotations

from math import pi, sqrt

import pytest
import torch
from scipy.special import sph_harm_y

from eqcli.geometry import axis_orders as orders
from eqcli.geometry.axis_orders import AxisOrder, translation
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from tests.rotations import random_rotation, representation


def directions(n: int = 40) -> torch.Tensor:
    v = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(v, dim=1)


def standard(degree: int, v: torch.Tensor) -> torch.Tensor:
    """Real harmonics with z polar from scipy's complex ones, component normalisation, `[n, 2l+1]`."""
    theta, phi = torch.arccos(v[:, 2]).numpy(), torch.atan2(v[:, 1], v[:, 0]).numpy()
    columns = []
    for m in range(-degree, degree + 1):
        # scipy's harmonics carry the Condon-Shortley phase.
        value = torch.from_numpy(sph_harm_y(degree, abs(m), theta, phi)) * (-1) ** m * sqrt(4 * pi)
        columns.append(value.real if m == 0 else sqrt(2) * (value.imag if m < 0 else value.real))
    return torch.stack(columns, dim=1)


def e3nn(degree: int, v: torch.Tensor) -> torch.Tensor:
    return SphericalHarmonics(degree).double()(v)[:, degree**2 :]


@pytest.mark.parametrize("degree", range(9))
def test_standard_harmonics_become_those_of_e3nn(degree: int) -> None:
    v = directions()
    matrix = translation("standard", "e3nn", degree)
    torch.testing.assert_close(standard(degree, v) @ matrix.T, e3nn(degree, v), atol=1e-12, rtol=0)


P = {
    "e3nn": ["x", "y", "z"],
    "standard": ["y", "z", "x"],
    "pyscf": ["x", "y", "z"],
    "gaussian": ["x", "y", "z"],
    "orca": ["z", "x", "y"],
    "psi4": ["z", "x", "y"],
    "fhi-aims": ["y", "z", "-x"],
    "condon-shortley": ["-y", "z", "-x"],
}


@pytest.mark.parametrize("order", list(AxisOrder))
def test_p_functions_by_name(order: AxisOrder) -> None:
    v = directions()
    named = {"x": v[:, 0], "y": v[:, 1], "z": v[:, 2], "-x": -v[:, 0], "-y": -v[:, 1]}
    expected = sqrt(3) * torch.stack([named[name] for name in P[order.value]], dim=1)
    torch.testing.assert_close(standard(1, v) @ translation("standard", order, 1).T, expected, atol=1e-12, rtol=0)


def test_d_and_f_functions_by_formula() -> None:
    x, y, z = directions().unbind(1)
    zero, xz, yz = (3 * z**2 - 1) * sqrt(5) / 2, sqrt(15) * x * z, sqrt(15) * y * z
    difference, xy = sqrt(15) / 2 * (x**2 - y**2), sqrt(15) * x * y
    d = standard(2, directions())
    torch.testing.assert_close(d, torch.stack([xy, yz, zero, xz, difference], 1), atol=1e-12, rtol=0)
    for order, columns in {
        "orca": [zero, xz, yz, difference, xy],
        "gaussian": [zero, xz, yz, difference, xy],
        "pyscf": [xy, yz, zero, xz, difference],
        "fhi-aims": [xy, yz, zero, -xz, difference],
        "condon-shortley": [xy, -yz, zero, -xz, difference],
    }.items():
        found = d @ translation("standard", order, 2).T
        torch.testing.assert_close(found, torch.stack(columns, 1), atol=1e-12, rtol=0)
    f = standard(3, directions()) @ translation("standard", "orca", 3).T
    torch.testing.assert_close(f[:, 5], -sqrt(35 / 8) * (x**3 - 3 * x * y**2), atol=1e-12, rtol=0)
    torch.testing.assert_close(f[:, 6], -sqrt(35 / 8) * (3 * x**2 * y - y**3), atol=1e-12, rtol=0)


def test_signs_of_orca_follow_the_order_of_m() -> None:
    assert translation("psi4", "orca", 5).diagonal().tolist() == [1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1]
    with pytest.raises(ValueError, match="ORCA"):
        translation("orca", "e3nn", 6)
    with pytest.raises(ValueError, match="molpro"):
        translation("molpro", "e3nn", 1)


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_translations_compose_and_are_orthogonal(degree: int) -> None:
    identity = torch.eye(2 * degree + 1, dtype=torch.float64)
    for a in AxisOrder:
        torch.testing.assert_close(
            translation(a, "e3nn", degree) @ translation("e3nn", a, degree), identity, atol=1e-13, rtol=0
        )
        through = translation("orca", a, degree) @ translation("pyscf", "orca", degree)
        for b in ("fhi-aims", "gaussian"):
            direct = translation(a, b, degree).T @ translation("pyscf", b, degree)
            assert through.shape == direct.shape
        torch.testing.assert_close(
            translation(a, "psi4", degree) @ translation("pyscf", a, degree),
            translation("pyscf", "psi4", degree),
            atol=1e-13,
            rtol=0,
        )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_parts_of_cartesian_tensors_are_irreducible(rank: int) -> None:
    basis = orders.cartesian_basis(rank).reshape(3**rank, -1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3**rank, dtype=torch.float64), atol=1e-13, rtol=0)
    tensor = torch.randn(3**rank, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).reshape((3,) * rank)
    rotation = random_rotation(2)
    turned = tensor
    for axis in range(rank):
        turned = torch.tensordot(rotation, turned, dims=([1], [axis])).movedim(0, axis)
    degrees = orders.cartesian_degrees(rank)
    action = torch.block_diag(*[representation(rotation, degree) for degree in degrees])
    components = orders.cartesian_to_spherical(tensor, rank)
    torch.testing.assert_close(orders.cartesian_to_spherical(turned, rank), action @ components, atol=1e-12, rtol=0)
    torch.testing.assert_close(orders.spherical_to_cartesian(components, rank), tensor, atol=1e-13, rtol=0)


def test_the_dyad_of_a_direction_has_its_harmonics() -> None:
    v = directions()
    components = orders.cartesian_to_spherical(v.unsqueeze(2) * v.unsqueeze(1))
    factor = components[0, 4:] @ e3nn(2, v)[0] / 5
    assert float(factor) > 0
    torch.testing.assert_close(components[:, 4:], factor * e3nn(2, v), atol=1e-13, rtol=0)
    torch.testing.assert_close(
        components[:, 0], torch.full((40,), 1 / sqrt(3), dtype=torch.float64), atol=1e-13, rtol=0
    )


def test_symmetric_tensors_and_voigt() -> None:
    tensor = torch.randn(4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    tensor = tensor + tensor.transpose(1, 2)
    parts = orders.symmetric_to_spherical(tensor)
    torch.testing.assert_close(orders.spherical_to_symmetric(parts), tensor, atol=1e-13, rtol=0)
    torch.testing.assert_close(parts[:, 1:], orders.cartesian_to_spherical(tensor)[:, 4:], atol=1e-13, rtol=0)
    for strain in (False, True):
        numbers = orders.to_voigt(tensor, strain=strain)
        assert torch.equal(numbers[:, 3], tensor[:, 1, 2] * (2 if strain else 1))
        assert torch.equal(numbers[:, 5], tensor[:, 0, 1] * (2 if strain else 1))
        assert torch.equal(orders.from_voigt(numbers, strain=strain), tensor)
    stress = tensor + 1
    work = (stress * tensor).sum((1, 2))
    voigt = (orders.to_voigt(stress) * orders.to_voigt(tensor, strain=True)).sum(1)
    torch.testing.assert_close(voigt, work, atol=1e-13, rtol=0)
