"""Symmetry in a batch against ASE's averages over all operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.spacegroup import crystal as ase_crystal

from eqcli.engine.batched.fixed_symmetry import begin_symmetry, symmetric_tensors, symmetric_vectors, symmetry_loss
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.errors import InputError
from eqcli.io.ase_bridge import to_ase
from eqcli.io.structure import Structure
from tests.engine.batched.relaxing_case import cluster, distorted

SYMPREC = 1e-3


def structures() -> list[Structure]:
    rutile = ase_crystal(["C", "O"], [(0, 0, 0), (0.3, 0.3, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.95, 90, 90, 90])
    quartz = ase_crystal(
        ["C", "O"], [(0.47, 0, 0), (0.41, 0.27, 0.12)], spacegroup=152, cellpar=[4.9, 4.9, 5.4, 90, 90, 120]
    )
    monoclinic = ase_crystal(
        ["C", "O"], [(0.1, 0.2, 0.3), (0.4, 0.1, 0.7)], spacegroup=14, cellpar=[4, 5, 6, 90, 100, 90]
    )
    supercell = bulk("C", "diamond", a=3.6, cubic=True) * (2, 1, 1)
    found = [bulk("C", "hcp", a=2.4, c=4.0), supercell, rutile, quartz, monoclinic]
    turned = replace(_structure(quartz), positions=quartz.positions[::-1] @ _turn(), cell=quartz.cell.array @ _turn())
    turned = replace(turned, numbers=quartz.numbers[::-1].copy())
    return [*map(_structure, found), distorted(1), turned]


def _structure(atoms) -> Structure:
    rng = np.random.default_rng(len(atoms))
    # Coordinates within the symmetry precision, and atoms in other cells.
    noise = 5e-5 * rng.normal(size=atoms.positions.shape)
    away = rng.integers(-1, 2, size=atoms.positions.shape) @ atoms.cell.array
    return Structure(atoms.numbers, atoms.positions + noise + away, atoms.cell.array, True)


def _turn() -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", [0.3, 1.0, -0.7]).as_matrix()


@pytest.fixture(scope="module")
def state() -> BatchState:
    return begin_symmetry(join([from_structure(x, k) for k, x in enumerate(structures())]), SYMPREC)


def test_the_refined_start_and_both_averages_are_those_of_ase(state):
    generator = torch.Generator().manual_seed(1)
    forces = torch.randn(state.positions.shape, generator=generator, dtype=torch.float64)
    stress = torch.randn(state.cell.shape, generator=generator, dtype=torch.float64)
    stress = stress + stress.transpose(1, 2)
    vectors, tensors = symmetric_vectors(state, forces), symmetric_tensors(state, stress)
    groups = []
    for k, structure in enumerate(structures()):
        atoms = to_ase(structure)
        constraint = FixSymmetry(atoms, symprec=SYMPREC)
        groups.append(len(constraint.rotations))
        mine = state.batch == k
        np.testing.assert_allclose(state.positions[mine], atoms.positions, atol=1e-12)
        np.testing.assert_allclose(state.cell[k], atoms.cell.array, atol=1e-12)
        wanted = forces[mine].numpy().copy()
        constraint.adjust_forces(atoms, wanted)
        np.testing.assert_allclose(vectors[mine], wanted, atol=1e-10)
        voigt = stress[k].numpy()[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]].copy()
        constraint.adjust_stress(atoms, voigt)
        np.testing.assert_allclose(tensors[k].numpy()[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], voigt, atol=1e-10)
    assert groups == [24, 128, 16, 6, 4, 1, 6]


def test_averages_are_projections(state):
    generator = torch.Generator().manual_seed(2)
    vectors = symmetric_vectors(state, torch.randn(state.positions.shape, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(symmetric_vectors(state, vectors), vectors, atol=1e-10, rtol=0)
    tensors = symmetric_tensors(state, torch.randn(state.cell.shape, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(symmetric_tensors(state, tensors), tensors, atol=1e-10, rtol=0)


def test_a_selection_is_averaged_as_before(state):
    chosen = torch.tensor([6, 1, 3])
    part = state.select(chosen)
    vectors = torch.randn(state.positions.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    whole = symmetric_vectors(state, vectors)
    expected = torch.cat([whole[state.batch == k] for k in chosen.tolist()])
    found = symmetric_vectors(part, torch.cat([vectors[state.batch == k] for k in chosen.tolist()]))
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


def test_the_loss_is_the_distance_from_the_symmetry(state):
    assert float(symmetry_loss(state).max()) < 1e-6
    vectors = torch.randn(state.positions.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    symmetric = symmetric_vectors(state, vectors)
    strain = torch.eye(3, dtype=torch.float64) + 0.02 * symmetric_tensors(state, state.cell)
    kept = state.with_(
        positions=torch.bmm((state.positions + 0.1 * symmetric)[:, None], strain[state.batch]).squeeze(1),
        cell=torch.bmm(state.cell, strain),
    )
    assert float((kept.positions - state.positions).abs().max()) > 0.05
    assert float(symmetry_loss(kept).max()) < 1e-6
    lost = state.with_(positions=state.positions + 0.01 * (vectors - symmetric))
    away = 0.01 * (vectors - symmetric).norm(dim=1)
    wanted = [float(away[state.batch == k].max()) for k in range(state.n_structures)]
    np.testing.assert_allclose(symmetry_loss(lost), wanted, atol=1e-6)
    shear = torch.tensor([[1.0, 0.02, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.01]], dtype=torch.float64)
    sheared = state.with_(cell=state.cell @ shear)
    assert (symmetry_loss(sheared) > SYMPREC).tolist() == [True, True, True, True, True, False, True]


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(InputError, match="no space group to keep"):
        begin_symmetry(from_structure(cluster(1, 5), 0), SYMPREC)
    whole = structures()[2]
    fixed = np.zeros(len(whole), dtype=bool)
    fixed[0] = True
    with pytest.raises(InputError, match="fixed atoms do not have the symmetry"):
        begin_symmetry(from_structure(replace(whole, fixed=fixed), 0), SYMPREC)
    both = replace(whole, fixed=whole.numbers == 6)
    assert bool(
        (begin_symmetry(from_structure(both, 0), SYMPREC).free.all(1) == torch.tensor(whole.numbers != 6)).all()
    )
