"""Batched L-BFGS against ASE's two loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.optimize import LBFGS
from ase.utils.abc import Optimizable

from eqcli.engine.batched import lbfgs
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.engine.optimizers import DownhillLBFGS
from eqcli.io.structure import Structure

SIZES = [1, 4, 7]


class Bowl(Optimizable):
    """A potential that is quadratic, or has a concave part, in the positions of some atoms."""

    def __init__(self, n: int, seed: int, concave: float) -> None:
        rng = np.random.default_rng(seed)
        a = rng.normal(size=(3 * n, 3 * n))
        self.matrix = a @ a.T + np.eye(3 * n)
        self.concave = concave
        self.x = 0.2 * rng.normal(size=3 * n)
        self.concave_along = rng.normal(size=3 * n)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        along = self.concave_along
        return self.matrix @ x + self.concave * np.cos(3 * along @ x) * along

    def get_gradient(self):
        return self.gradient(self.x)

    def get_x(self):
        return self.x.copy()

    def set_x(self, x):
        self.x = x.copy()

    def get_value(self):
        return 0.0

    def ndofs(self):
        return len(self.x)

    def iterimages(self):
        return iter(())


def bowls(concave: float) -> list[Bowl]:
    return [Bowl(n, n, concave) for n in SIZES]


def started(bowls: list[Bowl]) -> BatchState:
    structures = [Structure(np.full(n, 6), bowl.x.reshape(n, 3)) for n, bowl in zip(SIZES, bowls, strict=True)]
    state = join([from_structure(structure, k) for k, structure in enumerate(structures)])
    return lbfgs.Lbfgs().begin(state, state.positions)


def forces(state: BatchState, bowls: list[Bowl]) -> torch.Tensor:
    parts = state.positions.split(SIZES)
    return torch.cat(
        [-torch.from_numpy(b.gradient(x.numpy().ravel())).reshape(-1, 3) for b, x in zip(bowls, parts, strict=True)]
    )


@pytest.mark.parametrize("memory", [3, 100])
@pytest.mark.parametrize("concave", [0.0, 8.0])
def test_steps_are_those_of_the_two_loops(memory, concave, monkeypatch):
    monkeypatch.setattr(lbfgs, "MEMORY", memory)
    optimizer = lbfgs.Lbfgs()
    ours = bowls(concave)
    theirs = bowls(concave)
    alone: list[LBFGS] = []
    for bowl in theirs:
        alone.append(DownhillLBFGS(bowl))
        alone[-1].state.memory = memory
        alone[-1].optimizable = bowl
    state = started(ours)
    concave_steps = 0
    for _ in range(12):
        before = forces(state, ours)
        state, step = optimizer.propose(state, before)
        state = state.with_(positions=state.positions + step)
        change = before - forces(state, ours)
        concave_steps += int((step * change).sum() < 0)
        state = optimizer.learn(state, step, change)
        for each in alone:
            each.step()
        wanted = torch.cat([torch.from_numpy(bowl.x).reshape(-1, 3) for bowl in theirs])
        torch.testing.assert_close(state.positions, wanted, atol=1e-11, rtol=0)
    assert concave == 0.0 or concave_steps > 0


def test_structures_at_rest_learn_nothing():
    start = started(bowls(0.0))
    optimizer = lbfgs.Lbfgs()
    nothing = torch.zeros_like(start.positions)
    state = optimizer.learn(start, nothing, nothing)
    pull = torch.ones_like(nothing)
    assert torch.equal(optimizer.propose(state, pull)[1], optimizer.propose(start, pull)[1])
    assert torch.equal(optimizer.propose(state, nothing)[1], nothing)


def test_what_is_not_finite_stays_with_its_structure():
    ours = bowls(0.0)
    optimizer = lbfgs.Lbfgs()
    state = started(ours)
    broken = state.batch == 1
    for _ in range(3):
        before = forces(state, ours)
        before[broken] = torch.nan
        state, step = optimizer.propose(state, before)
        assert torch.isfinite(step).all(dim=1).logical_xor(broken).all()
        step[broken] = 0.0
        state = state.with_(positions=state.positions + step)
        after = forces(state, ours)
        after[broken] = torch.nan
        state = optimizer.learn(state, step, before - after)
