from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.integrate import State
from eqcli.diffusion.likelihood import log_likelihood
from eqcli.geometry.torus import torus_exp, without_drift, wrap


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plane(state: State, tangent: State) -> State:
    return (state[0] + tangent[0],)


def standard_normal(x: Tensor) -> Tensor:
    return (-0.5 * x.square() - 0.5 * math.log(2 * math.pi)).sum(-1)


@pytest.mark.parametrize("method", ["heun", "adaptive"])
def test_a_linear_flow_makes_the_normal_distribution_that_it_must(method: str) -> None:
    a = torch.tensor([[0.3, -0.8], [0.5, -0.4]], dtype=torch.float64)
    x = random(5, 2)
    found, calls = log_likelihood(
        lambda s, t: (s[0] @ a.T * 2 * t,),
        (x,),
        lambda s: standard_normal(s[0]),
        move=plane,
        owners=(torch.arange(5),),
        count=5,
        steps=100,
        method=method,  # type: ignore[arg-type]
        tolerance=1e-6,
    )
    # The rates at different times commute: the flow is exp(A), whatever the schedule.
    flow = torch.linalg.matrix_exp(a)
    expected = torch.distributions.MultivariateNormal(torch.zeros(2).double(), flow @ flow.T).log_prob(x)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert calls == 200 if method == "heun" else 31 <= calls < 200


def circle_flow(state: State, t: float) -> State:
    """a sin(2 pi x) / 2 pi, on every coordinate: tan(pi x) grows as exp(a t)."""
    return (0.9 * torch.sin(2 * math.pi * state[0]) / (2 * math.pi),)


def circle_density(x: Tensor) -> Tensor:
    """Log density at t = 1 of what is uniform at t = 0: d x_0 / d x_1 of the map above."""
    shrink = math.exp(-0.9)
    cosine, sine = torch.cos(math.pi * x), torch.sin(math.pi * x)
    return math.log(shrink) - (cosine.square() + shrink**2 * sine.square()).log()


def test_a_flow_on_the_torus_has_its_closed_form_crystal_by_crystal() -> None:
    batch = torch.tensor([0, 0, 0, 1, 3, 3])
    x = wrap(random(6, 3))
    found, _ = log_likelihood(
        circle_flow,
        (x,),
        lambda s: torch.zeros(4, dtype=torch.float64),
        move=lambda s, v: (torus_exp(s[0], v[0]),),
        owners=(batch,),
        count=4,
        steps=100,
    )
    expected = torch.zeros(4, dtype=torch.float64).index_add(0, batch, circle_density(x).sum(1))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    assert float(found[2]) == 0
    grid = torch.linspace(0, 1, 1001, dtype=torch.float64)
    assert float(torch.trapezoid(circle_density(grid).exp(), grid)) == pytest.approx(1, abs=1e-6)


BATCH = torch.tensor([0, 0, 1, 1, 1])


def coupled(state: State, t: float) -> State:
    """Atoms that see each other and the lattice of their crystal; the lattice sees its atoms."""
    f, k = state
    waves = torch.sin(2 * math.pi * f)
    count = torch.bincount(BATCH).double().unsqueeze(1)
    mean = torch.zeros(2, 3, dtype=f.dtype).index_add(0, BATCH, waves) / count
    rate_f = without_drift(0.1 * waves * (1 + k[BATCH].mean(1, keepdim=True)) + 0.2 * mean[BATCH] * waves, BATCH, 2)
    return rate_f, torch.tanh(k) * 0.3 * (1 + mean.sum(1, keepdim=True)) + t


def move(state: State, tangent: State) -> State:
    return torus_exp(state[0], tangent[0]), state[1] + tangent[1]


def base(state: State) -> Tensor:
    return standard_normal(state[1])


def likelihood(state: State, **options: object) -> Tensor:
    owners = (BATCH, torch.arange(2))
    found, _ = log_likelihood(coupled, state, base, move=move, owners=owners, count=2, **{"steps": 30, **options})  # type: ignore[arg-type]
    return found


def test_parts_that_act_on_one_another_agree_with_the_jacobian_of_the_map() -> None:
    state = wrap(random(5, 3)), random(2, 6, seed=1)
    found = likelihood(state, steps=100)

    def backwards(*parts: Tensor) -> State:
        whole: State = parts
        h = 1 / 100
        for n in range(100):
            t = 1 - n * h
            first = coupled(whole, t)
            later = coupled((whole[0] - h * first[0], whole[1] - h * first[1]), t - h)
            whole = tuple(w - 0.5 * h * (a + b) for w, a, b in zip(whole, first, later, strict=True))
        return whole

    jacobian = torch.autograd.functional.jacobian(backwards, state)
    start = backwards(*state)
    for crystal in (0, 1):
        own = crystal == BATCH
        atoms = 3 * int(own.sum())
        blocks = [
            [
                jacobian[0][0][own][:, :, own].reshape(atoms, atoms),
                jacobian[0][1][own][:, :, crystal].reshape(atoms, 6),
            ],
            [jacobian[1][0][crystal][:, own].reshape(6, atoms), jacobian[1][1][crystal][:, crystal]],
        ]
        matrix = torch.cat([torch.cat(row, 1) for row in blocks])
        expected = standard_normal(start[1][crystal]) + torch.linalg.slogdet(matrix)[1]
        assert float(found[crystal]) == pytest.approx(float(expected), abs=1e-4)


def test_random_directions_give_the_exact_divergence_in_the_mean() -> None:
    state = wrap(random(5, 3)), random(2, 6, seed=1)
    exact = likelihood(state)
    draws = []
    for seed in range(40):
        noise = random(5, 3, seed=2 * seed).sign(), random(2, 6, seed=2 * seed + 1).sign()
        draws.append(likelihood(state, divergence="hutchinson", noise=noise))
    values = torch.stack(draws)
    spread = values.std(0) / len(draws) ** 0.5
    assert float(spread.min()) > 0
    assert bool(((values.mean(0) - exact).abs() < 4 * spread).all())


def test_a_crystal_has_the_same_likelihood_alone() -> None:
    state = wrap(random(5, 3)), random(2, 6, seed=1)
    moved = wrap(state[0] + torch.tensor([[0.1]] * 2 + [[0.0]] * 3, dtype=torch.float64)), state[1]
    one, other = likelihood(state), likelihood(moved)
    assert float(one[1]) == float(other[1])
    assert float((one[0] - other[0]).abs()) > 1e-3


def test_a_constant_field_moves_the_base_density() -> None:
    x = random(3, 2)
    found, _ = log_likelihood(
        lambda s, t: (torch.full_like(s[0], 0.5).detach(),),
        (x,),
        lambda s: standard_normal(s[0]),
        move=plane,
        owners=(torch.arange(3),),
        count=3,
        steps=3,
    )
    torch.testing.assert_close(found, standard_normal(x - 0.5))


def test_what_cannot_be_asked_for_is_refused() -> None:
    state = wrap(random(5, 3)), random(2, 6, seed=1)
    with pytest.raises(ValueError, match="needs noise"):
        likelihood(state, divergence="hutchinson")
    with pytest.raises(ValueError, match="no divergence 'guess'"):
        likelihood(state, divergence="guess")
