from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from ase.cell import Cell
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from eqcli.geometry.lattice import (
    family_mask,
    from_log_symmetric,
    lattice_matrix,
    lattice_parameters,
    log_symmetric,
    possible_angles,
    volume,
)
from eqcli.geometry.symmetric_functions import symmetric_exp, symmetric_log
from tests.rotations import random_rotation


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def degrees(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).deg2rad()


def gram(cell: Tensor) -> Tensor:
    return cell @ cell.transpose(-1, -2)


@given(st.integers(0, 10**6))
def test_parameters_and_matrix_agree_with_ase_and_with_each_other(seed: int) -> None:
    cell = 3 * random(3, 3, seed=seed)
    lengths, angles = lattice_parameters(cell)
    reference = torch.from_numpy(Cell(cell.numpy()).cellpar())
    torch.testing.assert_close(lengths, reference[:3])
    torch.testing.assert_close(angles.rad2deg(), reference[3:], atol=1e-5, rtol=0)
    again = lattice_matrix(lengths, angles)
    torch.testing.assert_close(gram(again), gram(cell), atol=1e-11, rtol=0)
    assert float(torch.linalg.det(again)) > 0
    assert float(again[0, 1].abs() + again[0, 2].abs() + again[1, 2].abs()) == 0


def test_lengths_and_angles_come_back_from_nearly_flat_cells() -> None:
    angles = torch.stack(
        [degrees(90, 90, 120), degrees(60, 60, 119.9999), degrees(120, 120, 119.9999), degrees(1, 2, 2)]
    )
    lengths = torch.tensor([3.0, 4.0, 50.0], dtype=torch.float64).expand(4, 3)
    assert bool(possible_angles(angles).all())
    found_lengths, found_angles = lattice_parameters(lattice_matrix(lengths, angles))
    torch.testing.assert_close(found_lengths, lengths, atol=1e-8, rtol=0)
    torch.testing.assert_close(found_angles, angles, atol=1e-8, rtol=0)


def test_angles_of_no_cell_give_a_flat_one_with_finite_gradients() -> None:
    angles = torch.stack([degrees(60, 60, 121), degrees(130, 130, 130), degrees(60, 60, 120)]).requires_grad_()
    assert possible_angles(angles[:2]).tolist() == [False, False]
    cell = lattice_matrix(torch.ones(3, 3, dtype=torch.float64), angles)
    assert float(volume(cell).detach().max()) < 1e-7
    cell.sum().backward()
    assert angles.grad is not None
    assert bool(angles.grad.isfinite().all())


def test_possible_angles_are_those_with_a_volume() -> None:
    grid = degrees(20, 50, 80, 110, 140, 175)
    angles = torch.cartesian_prod(grid, grid, grid)
    a, b, g = angles.cos().unbind(-1)
    square = 1 - a**2 - b**2 - g**2 + 2 * a * b * g
    decided = square.abs() > 1e-9
    assert int(decided.sum()) > 150
    assert torch.equal(possible_angles(angles)[decided], square[decided] > 0)


def test_gradients_of_parameters_and_matrix() -> None:
    cell = (random(3, 3, 3, seed=3) + 3 * torch.eye(3)).requires_grad_()
    assert torch.autograd.gradcheck(lattice_parameters, (cell,))
    lengths, angles = (x.detach().requires_grad_() for x in lattice_parameters(cell))
    assert torch.autograd.gradcheck(lattice_matrix, (lengths, angles))
    right_angles = torch.eye(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lattice_parameters, (right_angles,))


def test_volume_is_positive_for_left_handed_cells() -> None:
    cells = random(6, 3, 3, seed=4)
    torch.testing.assert_close(volume(cells), torch.linalg.det(cells).abs())


def test_the_logarithmic_chart_keeps_the_crystal_and_forgets_rotation_and_handedness() -> None:
    cells = 4 * random(8, 3, 3, seed=5)
    k = log_symmetric(cells)
    back = from_log_symmetric(k)
    torch.testing.assert_close(gram(back), gram(cells), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(back, back.transpose(-1, -2))
    assert bool((torch.linalg.det(back) > 0).all())
    torch.testing.assert_close(log_symmetric(back), k, atol=1e-10, rtol=0)
    torch.testing.assert_close(log_symmetric(-cells @ random_rotation(3)), k, atol=1e-10, rtol=0)
    # The trace is the logarithm of the volume, and only the last coordinate has one.
    torch.testing.assert_close(volume(cells).log(), math.sqrt(3) * k[:, 5])


def test_the_logarithmic_chart_has_gradients_for_equal_and_nearly_equal_eigenvalues() -> None:
    cubic = 4 * torch.eye(3, dtype=torch.float64)
    near = cubic + 1e-7 * random(3, 3, seed=6)
    tetragonal = torch.diag(torch.tensor([3.0, 3.0, 5.0], dtype=torch.float64))
    for cell in (
        cubic,
        near,
        tetragonal,
        4 * random(3, 3, seed=7),
        torch.diag(torch.tensor([0.01, 1.0, 90.0]).double()),
    ):
        assert torch.autograd.gradcheck(
            log_symmetric, (cell.clone().requires_grad_(),), eps=1e-6 * float(cell.diag().abs().min())
        )
        assert torch.autograd.gradcheck(from_log_symmetric, (log_symmetric(cell).requires_grad_(),))


def test_functions_of_matrices_agree_with_the_matrix_exponential() -> None:
    k = random(4, 3, 3, seed=8)
    symmetric = k + k.transpose(-1, -2)
    torch.testing.assert_close(symmetric_exp(symmetric), torch.linalg.matrix_exp(symmetric))
    torch.testing.assert_close(symmetric_log(torch.linalg.matrix_exp(symmetric)), symmetric, atol=1e-9, rtol=0)


def test_one_cell_that_is_not_finite_spoils_no_other() -> None:
    cells = 4 * random(3, 3, 3, seed=9)
    cells[1, 2, 0] = torch.nan
    k = log_symmetric(cells)
    assert k.isfinite().all(-1).tolist() == [True, False, True]
    torch.testing.assert_close(k[2], log_symmetric(cells[2]))
    assert from_log_symmetric(k).isfinite().all((-1, -2)).tolist() == [True, False, True]


def test_float32_in_float32_out() -> None:
    cell = (4 * random(5, 3, 3, seed=10)).float()
    k = log_symmetric(cell)
    assert k.dtype is torch.float32
    torch.testing.assert_close(k.double(), log_symmetric(cell.double()), atol=3e-6, rtol=3e-5)
    assert from_log_symmetric(k).dtype is lattice_matrix(*lattice_parameters(cell)).dtype is torch.float32


# Space groups at both ends of each family, with lengths and angles that the family allows.
CELLS = {
    (1, 2): ((3.0, 4.0, 5.0), (80.0, 95.0, 103.0)),
    (3, 15): ((3.0, 4.0, 5.0), (90.0, 103.0, 90.0)),
    (16, 74): ((3.0, 4.0, 5.0), (90.0, 90.0, 90.0)),
    (75, 142): ((3.0, 3.0, 5.0), (90.0, 90.0, 90.0)),
    (143, 168, 194): ((3.0, 3.0, 5.0), (90.0, 90.0, 120.0)),
    (195, 230): ((3.0, 3.0, 3.0), (90.0, 90.0, 90.0)),
}


@pytest.mark.parametrize(("groups", "parameters"), CELLS.items())
def test_a_family_keeps_its_own_cells_and_makes_any_other_its_own(
    groups: tuple[int, ...], parameters: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    lengths, angles = parameters
    k = log_symmetric(lattice_matrix(torch.tensor(lengths, dtype=torch.float64), degrees(*angles)))
    for group in groups:
        mask, bias = family_mask(group, dtype=torch.float64)
        torch.testing.assert_close(k * mask + bias, k, atol=1e-12, rtol=0)
        assert float((mask * bias).abs().max()) == 0
        for seed in range(3):
            made_lengths, made_angles = lattice_parameters(from_log_symmetric(0.3 * random(6, seed=seed) * mask + bias))
            for n, wanted in enumerate(angles):
                free = wanted not in (90.0, 120.0)
                assert free or float(made_angles[n]) == pytest.approx(math.radians(wanted), abs=1e-12)
            for m, n in product(range(3), range(3)):
                if lengths[m] == lengths[n]:
                    assert float(made_lengths[m]) == pytest.approx(float(made_lengths[n]), abs=1e-12)


def test_free_coordinates_of_a_family_are_as_many_as_its_parameters() -> None:
    groups = torch.tensor([2, 15, 74, 142, 194, 230])
    mask, bias = family_mask(groups)
    assert mask.sum(-1).tolist() == [6, 4, 3, 2, 2, 1]
    assert mask.dtype is bias.dtype is torch.get_default_dtype()
    with pytest.raises(ValueError, match="1 to 230"):
        family_mask(231)
