"""Forces on moving cells: the slope of the enthalpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.engine.batched.cell_filter import begin_cell, cell_forces, deformed, forces_on_start
from eqcli.engine.batched.field import Field
from eqcli.engine.batched.state import BatchState, from_structure, join
from tests.engine.batched.relaxing_case import crystal, distorted, morse

PRESSURE = 0.1


@pytest.fixture(scope="module")
def field() -> Field:
    return Field(morse().potential, stress=True)


def strained(field: Field, size: float) -> BatchState:
    """Crystals that have gone a long way from their starts, their cells turned and sheared."""
    state = begin_cell(field.evaluate(join([from_structure(x, k) for k, x in enumerate([distorted(1), crystal()])])))
    generator = torch.Generator().manual_seed(3)
    atoms = 0.05 * torch.randn(state.positions.shape, generator=generator, dtype=torch.float64)
    cells = size * state.counts[:, None, None] * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    return field.evaluate(deformed(state, atoms, cells))


def enthalpy(field: Field, state: BatchState, atoms: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    moved = field.evaluate(deformed(state, atoms, cells))
    return moved.energy + PRESSURE * torch.linalg.det(moved.cell).abs()


@pytest.mark.parametrize("size", [0.0, 0.1])
def test_forces_are_the_slope_of_the_enthalpy(field, size):
    state = strained(field, size)
    found = cell_forces(state, state.stress, "full", PRESSURE)
    none = torch.zeros_like(state.positions)
    h = 1e-4
    for i, j in np.ndindex(3, 3):
        along = torch.zeros_like(found)
        along[:, i, j] = h
        slope = (enthalpy(field, state, none, along) - enthalpy(field, state, none, -along)) / (2 * h)
        torch.testing.assert_close(-slope, found[:, i, j], atol=2e-6, rtol=1e-5)
    on_atoms = forces_on_start(state, state.forces)
    for atom, j in ((0, 0), (3, 1), (7, 2)):
        along = torch.zeros_like(none)
        along[atom, j] = h
        slope = (enthalpy(field, state, along, 0 * found) - enthalpy(field, state, -along, 0 * found)) / (2 * h)
        torch.testing.assert_close(-slope[0], on_atoms[atom, j], atol=2e-6, rtol=1e-5)


def test_an_isotropic_cell_feels_the_mean_of_the_diagonal(field):
    state = strained(field, 0.0)
    found = cell_forces(state, state.stress, "isotropic", PRESSURE)
    full = cell_forces(state, state.stress, "full", PRESSURE)
    for one, other in zip(found, full, strict=True):
        torch.testing.assert_close(one, one[0, 0] * torch.eye(3, dtype=one.dtype), atol=1e-14, rtol=0)
        assert float(one.trace()) == pytest.approx(float(other.trace()), abs=1e-12)


def test_a_step_deforms_cell_and_atoms_alike(field):
    state = begin_cell(field.evaluate(join([from_structure(x, k) for k, x in enumerate([distorted(2), crystal()])])))
    cells = torch.tensor([[0.1, 0.3, 0.0], [-0.2, 0.0, 0.1], [0.0, 0.4, -0.3]], dtype=torch.float64).expand(2, 3, 3)
    moved = state
    for _ in range(3):
        moved = deformed(moved, torch.zeros_like(state.positions), cells)
    for k in range(2):
        one, start = (x.select(torch.tensor([k])) for x in (moved, state))
        scaled, before = (x.positions @ torch.linalg.inv(x.cell[0]) for x in (one, start))
        torch.testing.assert_close(scaled, before, atol=1e-12, rtol=0)
        growth = torch.linalg.det(one.cell) / torch.linalg.det(start.cell)
        assert float(growth) == pytest.approx(float(torch.exp(3 * cells[k].trace() / len(one.batch))), rel=1e-12)
