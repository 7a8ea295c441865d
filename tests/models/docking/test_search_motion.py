"""Steps of poses and the local search, on energies that are known exactly."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import pytest
import torch
from torch import Tensor

from eqcli.geometry.rotations import from_rotation_vector, rotate_vectors
from eqcli.geometry.torsions import torsion_tables, turned
from eqcli.models.docking.local_search import Poses, minimised, stepped
from eqcli.models.docking.pose_state import RIGID, PoseTables, arms, moved_by, rotation_of, step_gradient

# Two branches of a body (atoms 3, 4, 5 in a ring); bonds listed from the inside out, each moving its outer side.
BONDS = torch.tensor([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 3), (4, 6), (6, 7), (7, 8), (8, 9), (1, 10)])
AXES = torch.tensor([(3, 2), (2, 1), (4, 6), (6, 7), (7, 8)])
ATOMS, TURNS = 11, 5


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def tables() -> PoseTables:
    made = torsion_tables(AXES, BONDS, ATOMS)
    return PoseTables.of(made.rotatable, made.moved)


def some_poses(count: int, seed: int = 0) -> Poses:
    zeros = torch.zeros(count, dtype=torch.float64)
    origin = torch.zeros(count, dtype=torch.int64)
    return Poses(2 * random(count, ATOMS, 3, seed=seed), zeros, zeros[:, None].repeat(1, TURNS), origin)


class Spring:
    """Atoms pulled to points of their own: the least-squares distance from a known pose."""

    def __init__(self, goal: Tensor) -> None:
        self.goal = goal
        self.calls = 0

    def energy_and_gradient(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        apart = positions - self.goal
        return apart.square().sum((1, 2)), 2 * apart


def test_a_rotation_vector_turns_as_its_quaternion() -> None:
    vectors, points = random(6, 3), random(6, 3, seed=1)
    found = (rotation_of(vectors) @ points.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found, rotate_vectors(from_rotation_vector(vectors), points), atol=1e-13, rtol=0)
    torch.testing.assert_close(rotation_of(torch.zeros(1, 3)), torch.eye(3)[None])


def test_a_step_is_the_turns_about_the_bonds_and_then_the_rigid_motion() -> None:
    t = tables()
    x, step = some_poses(4).positions, random(4, RIGID + TURNS, seed=2)
    bent = turned(x, t.rotatable, t.moved, step[:, RIGID:])
    centre = x.mean(1, keepdim=True)
    expected = (bent - centre) @ rotation_of(step[:, 3:RIGID]).transpose(-1, -2) + centre + step[:, None, :3]
    torch.testing.assert_close(moved_by(x, step, t), expected, atol=1e-12, rtol=0)


def test_pieces_and_carriers_follow_the_nesting_of_the_turns() -> None:
    t = tables()
    assert t.parent.tolist() == [-1, 0, -1, 2, 3]
    assert [level.tolist() for level in t.levels] == [[0, 2], [1, 3], [4]]
    assert t.piece.tolist() == [2, 1, 0, 0, 0, 0, 0, 3, 4, 5, 2]


def test_a_ligand_without_turns_moves_as_a_rigid_body() -> None:
    rigid = PoseTables.of(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 4, dtype=torch.bool))
    x = random(3, 4, 3)
    moved = moved_by(x, random(3, RIGID, seed=1), rigid)
    torch.testing.assert_close(torch.cdist(moved, moved), torch.cdist(x, x), atol=1e-12, rtol=0)


def test_step_gradient_is_the_derivative_of_the_energy_in_the_step() -> None:
    t, x = tables(), some_poses(3).positions
    weights = random(3, ATOMS, 3, seed=9)
    found = step_gradient(x, weights * x.cos(), t)
    size = 1e-6
    for k in range(RIGID + TURNS):
        step = torch.zeros(3, RIGID + TURNS, dtype=torch.float64)
        step[:, k] = size
        ahead, behind = ((weights * moved_by(x, s, t).sin()).sum((1, 2)) for s in (step, -step))
        torch.testing.assert_close(found[:, k], (ahead - behind) / (2 * size), atol=1e-7, rtol=1e-6)


def test_arms_are_the_mean_displacements_of_small_turns() -> None:
    t, x = tables(), some_poses(2).positions
    found, size = arms(x, t), 1e-6
    for k in (0, RIGID, RIGID + 2):
        step = torch.zeros(2, RIGID + TURNS, dtype=torch.float64)
        step[:, k] = size
        displacement = (moved_by(x, step, t) - x).square().sum(-1).mean(1).sqrt() / size
        torch.testing.assert_close(found[:, k], displacement, atol=1e-5, rtol=1e-5)


def test_tables_of_the_heavy_atoms_leave_out_turns_of_hydrogens() -> None:
    t = tables()
    inner, kept = t.of_atoms(torch.arange(9))  # without atoms 9 and 10 the turn (7, 8) moves nothing
    assert kept.tolist() == [0, 1, 2, 3]
    x, step = some_poses(2).positions, random(2, RIGID + TURNS, seed=4)
    step[:, :RIGID] = 0
    step[:, -1] = 0
    torch.testing.assert_close(moved_by(x[:, :9], step[:, :-1], inner), moved_by(x, step, t)[:, :9])


def test_the_local_search_meets_a_pose_of_the_same_molecule() -> None:
    t, start = tables(), some_poses(1)
    step = 0.4 * random(1, RIGID + TURNS, seed=7)
    goal = moved_by(start.positions, step, t)
    found = minimised(Spring(goal), start, t, 60)
    torch.testing.assert_close(found.positions, goal, atol=1e-5, rtol=0)
    turn = (found.turns - step[:, RIGID:] + pi) % (2 * pi) - pi
    torch.testing.assert_close(turn, torch.zeros_like(turn), atol=1e-5, rtol=0)


def test_the_local_search_never_goes_up_and_calls_as_often_as_it_may() -> None:
    t, start = tables(), some_poses(40)
    spring = Spring(3 * random(1, ATOMS, 3, seed=3))
    before, _ = spring.energy_and_gradient(start.positions)
    last = before
    for calls in (1, 3, 10, 30):
        spring.calls = 0
        found = minimised(spring, start, t, calls)
        assert spring.calls == calls
        assert bool((found.energy <= last + 1e-12).all())
        last = found.energy
        torch.testing.assert_close(found.energy, spring.energy_and_gradient(found.positions)[0])
    assert float((last / before).mean()) < 0.9


def test_the_local_search_ends_early_at_a_minimum() -> None:
    t, start = tables(), some_poses(1)
    spring = Spring(start.positions)
    minimised(spring, start, t, 50, tolerance=1e-6)
    assert spring.calls == 1


def test_a_pose_does_not_depend_on_the_others() -> None:
    t, start = tables(), some_poses(8)
    spring = Spring(3 * random(1, ATOMS, 3, seed=3))
    together = minimised(spring, start, t, 25)
    alone = minimised(spring, start[2:3], t, 25)
    torch.testing.assert_close(together.positions[2:3], alone.positions, atol=1e-9, rtol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_not_stepped_into(bad: float) -> None:
    class Cliff(Spring):
        def energy_and_gradient(self, positions: Tensor) -> tuple[Tensor, Tensor]:
            energy, gradient = super().energy_and_gradient(positions)
            beyond = positions.mean((1, 2)) > 0.3
            return torch.where(beyond, bad, energy), torch.where(beyond[:, None, None], bad, gradient)

    t, start = tables(), some_poses(1)
    centred = stepped(start, torch.zeros(1, RIGID + TURNS, dtype=torch.float64), t)
    centred = replace(centred, positions=centred.positions - centred.positions.mean(1, keepdim=True))
    goal = centred.positions + 1.0
    found = minimised(Cliff(goal), centred, t, 30)
    assert bool(found.energy.isfinite().all())
    assert bool(found.positions.isfinite().all())
    assert float(found.energy) < float((goal - centred.positions).square().sum())
