"""Optimal transport: the cheapest plan, against brute force and between solvers."""

from __future__ import annotations

import builtins
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.geometry.transport import linear_programme, transport_plan

SIZES = [(1, 1), (1, 5), (6, 1), (4, 4), (5, 8), (12, 7)]


@pytest.fixture(params=["with POT", "without POT"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whichever solver is there, and the one that is always there."""
    if request.param == "with POT":
        pytest.importorskip("ot")
        return str(request.param)
    plain = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ot":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    return str(request.param)


def a_cost(m: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 50


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_marginals(m: int, n: int, solver: str) -> None:
    plan = transport_plan(a_cost(m, n))
    assert plan.shape == (m, n)
    assert (plan >= -1e-12).all()
    assert torch.allclose(plan.sum(1), torch.full((m,), 1 / m, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(plan.sum(0), torch.full((n,), 1 / n, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_equal_numbers_are_an_assignment(seed: int, solver: str) -> None:
    cost = a_cost(6, 6, seed)
    best = min(sum(float(cost[i, j]) for i, j in enumerate(order)) / 6 for order in permutations(range(6)))
    assert float((transport_plan(cost) * cost).sum()) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_solvers_agree_in_what_it_costs(m: int, n: int) -> None:
    pytest.importorskip("ot")
    cost = a_cost(m, n, 3)
    here = float((transport_plan(cost) * cost).sum())
    there = float((linear_programme(cost.numpy()) * cost.numpy()).sum())
    assert here == pytest.approx(there, rel=1e-9)


def test_order_of_points_does_not_matter(solver: str) -> None:
    cost = a_cost(5, 7, 2)
    generator = torch.Generator().manual_seed(4)
    rows, columns = torch.randperm(5, generator=generator), torch.randperm(7, generator=generator)
    plan, other = transport_plan(cost), transport_plan(cost[rows][:, columns])
    assert torch.allclose(plan[rows][:, columns], other, atol=1e-9)


def test_nothing_moves_between_equal_sets(solver: str) -> None:
    points = torch.rand(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plan = transport_plan(torch.cdist(points, points).square())
    assert torch.allclose(plan, torch.eye(6, dtype=torch.float64) / 6, atol=1e-9)


def test_no_other_plan_is_cheaper(solver: str) -> None:
    """Against random plans with the same marginals, by rounds of normalisation."""
    cost = a_cost(4, 6, 5)
    best = float((transport_plan(cost) * cost).sum())
    random = np.random.default_rng(0)
    for _ in range(50):
        plan = random.random((4, 6)) ** 4
        for _ in range(200):
            plan *= (1 / 4) / plan.sum(1, keepdims=True)
            plan *= (1 / 6) / plan.sum(0, keepdims=True)
        assert (plan * cost.numpy()).sum() >= best - 1e-6


def test_precision_and_gradient(solver: str) -> None:
    cost = a_cost(3, 4).float().requires_grad_()
    plan = transport_plan(cost)
    assert plan.dtype == torch.float32
    assert not plan.requires_grad
    (plan * cost).sum().backward()
    assert torch.equal(cost.grad, plan)
