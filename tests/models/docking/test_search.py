"""The search for poses, in a site made by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from eqcli.geometry.torsions import dihedral, torsion_tables
from eqcli.io.atom_types import AtomType
from eqcli.models.docking.local_search import Poses
from eqcli.models.docking.pose_state import PoseTables
from eqcli.models.docking.random_poses import free_points, random_poses
from eqcli.models.docking.search import Found, distinct, search
from eqcli.models.docking.search_settings import SearchSettings
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_score import VinaScore

# A zigzag of six heavy atoms, a hydrogen on the last: O-C-C-C-C-N-H, three bonds turn heavy atoms and one hydrogen.
BONDS = torch.tensor([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)])
AXES = torch.tensor([(2, 1), (2, 3), (3, 4), (4, 5)])
TYPES = torch.tensor([AtomType.O_A, AtomType.C_P, AtomType.C_H, AtomType.C_H, AtomType.C_P, AtomType.N_D, -1])
QUICK = SearchSettings(effort=0.5, poses=5)


@dataclass
class Shape:
    rotatable: Tensor
    moved: Tensor
    types: Tensor
    pairs: Tensor
    torsion_count: float = 3.0


def conformer() -> Tensor:
    x = torch.tensor([[1.25 * n, 0.85 * (n % 2), 0.05 * n * n] for n in range(7)])
    return x[None]


def shape() -> Shape:
    made = torsion_tables(AXES, BONDS, 7)
    return Shape(made.rotatable, made.moved, TYPES, torch.tensor([(0, 4), (0, 5), (1, 5)]))


def site() -> Site:
    """A bowl of hydrophobic atoms about the origin with an acceptor and a donor on its wall."""
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=-1) * torch.tensor(
        [8.0, 6.5, 5.5]
    )
    points = points[points[:, 2] < 2.5]
    types = torch.full((len(points),), int(AtomType.C_H))
    types[::9], types[4::9] = int(AtomType.O_A), int(AtomType.N_D)
    return Site.around(points, types, torch.zeros(3), torch.full((3,), 14.0))


def score() -> VinaScore:
    return VinaScore.of(site(), shape(), cap=10.0)


def found(seed: int = 0, settings: SearchSettings = QUICK, given: Tensor | None = None) -> Found:
    return search(score(), conformer(), shape(), settings, torch.Generator().manual_seed(seed), given=given)


@pytest.fixture(scope="module")
def result() -> Found:
    return found()


def test_poses_come_best_first_with_their_exact_energies(result: Found) -> None:
    assert len(result.energy) > 1
    assert bool((result.energy.diff() >= 0).all())
    torch.testing.assert_close(result.energy, score().energy(result.positions), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(result.affinity, score().affinity(result.positions))


def test_poses_keep_the_bonds_and_angles_of_the_conformer(result: Found) -> None:
    pairs = torch.tensor([(a, b) for a in range(7) for b in range(a + 1, min(a + 3, 7))])
    apart = (result.positions[:, pairs[:, 0]] - result.positions[:, pairs[:, 1]]).norm(dim=-1)
    wanted = (conformer()[0, pairs[:, 0]] - conformer()[0, pairs[:, 1]]).norm(dim=-1)
    torch.testing.assert_close(apart, wanted.expand_as(apart), atol=1e-4, rtol=0)


def test_poses_differ_from_each_other_and_lie_in_the_box(result: Found) -> None:
    heavy = result.positions[:, :6]
    apart = (heavy[:, None] - heavy[None]).square().sum(-1).mean(-1).sqrt()
    assert float(apart[~torch.eye(len(heavy), dtype=torch.bool)].min()) > 0.9 * QUICK.apart
    assert float(heavy.abs().max()) < 7.5


def test_the_best_pose_is_better_than_a_thousand_random_ones(result: Found) -> None:
    made = shape()
    tables = PoseTables.of(made.rotatable, made.moved)
    random = random_poses(conformer(), tables, site(), 1_000, torch.Generator().manual_seed(3))
    assert float(result.energy[0]) < float(score().energy(random.positions).min())


def test_other_seeds_find_the_same_best_energy(result: Found) -> None:
    other = found(seed=1, settings=replace(QUICK, effort=1.0))
    assert float(other.energy[0]) == pytest.approx(float(result.energy[0]), abs=0.3)


def test_the_same_seed_finds_the_same(result: Found) -> None:
    again = found()
    torch.testing.assert_close(again.positions, result.positions, atol=1e-4, rtol=0)


def test_a_given_pose_is_never_lost(result: Found) -> None:
    little = SearchSettings(effort=0.01, poses=5)
    best = result.positions[:1]
    torch.manual_seed(0)
    kept = found(seed=5, settings=little, given=best)
    assert float(kept.energy[0]) <= float(result.energy[0]) + 0.05
    assert bool(((kept.origin == -1) | (kept.origin == 0)).all())


def test_a_search_without_conformer_turns_places_a_rigid_ligand() -> None:
    made = shape()
    rigid = replace(made, rotatable=made.rotatable[:0], moved=made.moved[:0])
    placed = search(score(), conformer(), rigid, QUICK, torch.Generator().manual_seed(0)).positions
    distances = torch.cdist(placed, placed)
    torch.testing.assert_close(distances, torch.cdist(conformer(), conformer()).expand_as(distances), atol=1e-4, rtol=0)


def test_random_poses_have_the_turns_that_they_state() -> None:
    made = shape()
    tables = PoseTables.of(made.rotatable, made.moved)
    poses = random_poses(conformer(), tables, site(), 50, torch.Generator().manual_seed(1))
    x, y = poses.positions.unbind(1), conformer()[0].unbind(0)
    change = dihedral(x[1], x[2], x[3], x[4]) - dihedral(y[1], y[2], y[3], y[4])
    torch.testing.assert_close((change - poses.turns[:, 1]).cos(), torch.ones(50), atol=1e-4, rtol=0)
    assert float(poses.positions.mean(1).abs().max()) <= 7.0


def test_free_points_keep_away_from_the_receptor() -> None:
    points = free_points(site(), 200, torch.Generator().manual_seed(0))
    assert points.shape == (200, 3)
    assert float(torch.cdist(points, site().positions).min()) > 2.5


def test_free_points_of_a_box_full_of_atoms_are_still_points_of_the_box() -> None:
    axis = torch.arange(-4.0, 4.5, 1.5)
    full = torch.cartesian_prod(axis, axis, axis)
    packed = Site(full, torch.zeros(len(full), dtype=torch.int64), torch.zeros(3), torch.full((3,), 4.0))
    points = free_points(packed, 30, torch.Generator().manual_seed(0))
    assert points.shape == (30, 3)
    assert float(points.abs().max()) <= 2.0


def test_distinct_keeps_the_best_of_those_that_are_alike() -> None:
    positions = torch.zeros(4, 3, 3)
    positions[1:3] += 0.2
    positions[3] += 5.0
    zeros = torch.zeros(4, dtype=torch.int64)
    poses = Poses(positions, torch.tensor([0.0, -2.0, -1.0, 3.0]), torch.zeros(4, 0), zeros)
    assert distinct(poses, 1.0, 9).energy.tolist() == [-2.0, 3.0]
    assert distinct(poses, 0.1, 9).energy.tolist() == [-2.0, 0.0, 3.0]
    assert distinct(poses, 0.1, 1).energy.tolist() == [-2.0]
