from __future__ import annotations

import pytest
import torch
from e3nn import o3

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from tests.rotations import random_rotation, representation

TRIPLES = [(a, b, c) for a in range(5) for b in range(5) for c in range(abs(a - b), min(a + b, 6) + 1)]


@pytest.mark.parametrize("triple", [(1, 1, 2), (2, 1, 3), (2, 2, 1), (3, 2, 3), (3, 3, 6)])
def test_coupling_is_invariant_under_rotations(triple: tuple[int, int, int]) -> None:
    rotation = random_rotation(3)
    d1, d2, d3 = (representation(rotation, degree) for degree in triple)
    coupling = clebsch_gordan(*triple)
    rotated = torch.einsum("ai,bj,ck,ijk->abc", d1, d2, d3, coupling)
    torch.testing.assert_close(rotated, coupling, atol=1e-12, rtol=0)


def test_agrees_with_e3nn_in_value_and_sign() -> None:
    for triple in TRIPLES:
        expected = o3.wigner_3j(*triple, dtype=torch.float64)
        torch.testing.assert_close(clebsch_gordan(*triple), expected, atol=1e-12, rtol=0)


def test_couplings_to_different_degrees_are_orthogonal_and_complete() -> None:
    scaled = [(2 * c + 1) ** 0.5 * clebsch_gordan(2, 3, c).reshape(35, -1) for c in range(1, 6)]
    matrix = torch.cat(scaled, dim=1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(35, dtype=torch.float64), atol=1e-12, rtol=0)


def test_a_forbidden_coupling_is_refused() -> None:
    with pytest.raises(ValueError, match="triangle"):
        clebsch_gordan(1, 1, 3)


@pytest.mark.parametrize("triple", [(12, 12, 12), (16, 16, 16), (12, 3, 11), (20, 20, 22)])
def test_high_degrees_are_exact(triple: tuple[int, int, int]) -> None:
    coupling = clebsch_gordan(*triple)
    size = 2 * triple[2] + 1
    overlap = size * torch.einsum("ijk,ijl->kl", coupling, coupling)
    torch.testing.assert_close(overlap, torch.eye(size, dtype=torch.float64), atol=1e-13, rtol=0)


def test_rotations_about_the_polar_axis_leave_high_degrees_unchanged() -> None:
    coupling = clebsch_gordan(12, 10, 15)
    turned = torch.einsum("ai,bj,ck,ijk->abc", *(_turn(degree) for degree in (12, 10, 15)), coupling)
    torch.testing.assert_close(turned, coupling, atol=1e-13, rtol=0)


def _turn(degree: int, angle: float = 0.7) -> torch.Tensor:
    """The rotation by an angle about y: cosine m and sine m of each degree mix."""
    m = torch.arange(-degree, degree + 1, dtype=torch.float64)
    return torch.diag(torch.cos(m * angle)) + torch.flip(torch.diag(torch.sin(m * angle)), [0]).T


def test_what_selection_rules_forbid_is_exactly_zero() -> None:
    coupling = clebsch_gordan(3, 2, 4)
    assert int((coupling != 0).sum()) == int((coupling.abs() > 1e-12).sum())


def test_degrees_whose_integers_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match="62"):
        clebsch_gordan(21, 21, 21)
