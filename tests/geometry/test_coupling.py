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
