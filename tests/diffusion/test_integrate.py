from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.integrate import Method, State, anti_annealed, integrate
from eqcli.geometry.torus import torus_exp, torus_log


def move(state: State, tangent: State) -> State:
    """A plane and a torus."""
    return state[0] + tangent[0], torus_exp(state[1], tangent[1])


def spiral(state: State, t: float) -> State:
    """Decay and rotation in the plane, a speed that oscillates on the circle; with known solutions."""
    x, f = state
    turned = torch.stack([-x[:, 1], x[:, 0]], -1)
    return turned - t * x, torch.full_like(f, 0.7 * math.cos(3 * t))


def start() -> State:
    x = torch.tensor([[1.0, 0.0], [0.3, -0.5]], dtype=torch.float64)
    return x, torch.tensor([[0.9], [0.2]], dtype=torch.float64)


def solution(t: float) -> State:
    x, f = start()
    turn = torch.tensor([[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]], dtype=torch.float64)
    return math.exp(-(t**2) / 2) * x @ turn, torus_exp(f, torch.tensor(0.7 * math.sin(3 * t) / 3))


def error(state: State, t: float) -> float:
    exact = solution(t)
    return max(float((state[0] - exact[0]).abs().max()), float(torus_log(state[1], exact[1]).abs().max()))


@pytest.mark.parametrize(("method", "order", "calls"), [("euler", 1, 1), ("heun", 2, 2)])
def test_methods_converge_with_their_order(method: Method, order: int, calls: int) -> None:
    errors = []
    for steps in (50, 100):
        state, count = integrate(spiral, start(), move=move, steps=steps, method=method, end=2.0)
        assert count == calls * steps
        errors.append(error(state, 2.0))
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)


def test_adaptive_steps_are_as_exact_as_asked_and_cheaper() -> None:
    found = {}
    for tolerance in (1e-3, 1e-5, 1e-7):
        state, calls = integrate(spiral, start(), move=move, method="adaptive", tolerance=tolerance, steps=10, end=2.0)
        found[tolerance] = (error(state, 2.0), calls)
        assert found[tolerance][0] < 5 * tolerance
    assert found[1e-3][1] < found[1e-5][1] < found[1e-7][1] < 800
    assert found[1e-3][0] > found[1e-5][0] > found[1e-7][0]


def test_adaptive_steps_grow_where_the_field_is_calm_and_shrink_where_it_is_not() -> None:
    times = [0.0]

    def burst(state: State, t: float) -> State:
        return (torch.full_like(state[0], math.exp(-(((t - 0.6) / 0.05) ** 2))),)

    zero = (torch.zeros(1, 1, dtype=torch.float64),)
    state, calls = integrate(
        burst,
        zero,
        move=lambda a, b: (a[0] + b[0],),
        method="adaptive",
        tolerance=1e-6,
        steps=20,
        on_step=lambda _, t: times.append(t),
    )
    assert float(state[0]) == pytest.approx(0.05 * math.sqrt(math.pi), abs=1e-5)
    sizes = torch.tensor(times).diff()
    assert float(sizes.max() / sizes[:-1].min()) > 10
    assert float(sizes.max()) < 0.1 + 1e-6
    assert 0.5 < times[int(sizes[:-1].argmin())] < 0.7
    assert times[-1] == 1.0
    assert calls >= 3 * (len(times) - 1) + 1


@pytest.mark.parametrize("method", ["euler", "heun", "adaptive"])
def test_time_runs_backwards_as_well(method: Method) -> None:
    times: list[float] = []
    state, _ = integrate(
        spiral,
        solution(1.0),
        move=move,
        start=1.0,
        end=0.0,
        steps=400,
        method=method,
        tolerance=1e-6,
        on_step=lambda _, t: times.append(t),
    )
    assert error(state, 0.0) < (5e-3 if method == "euler" else 1e-4)
    assert times == sorted(times, reverse=True)
    assert times[-1] == 0.0


def test_on_step_sees_every_state_and_the_exact_end() -> None:
    seen: list[tuple[float, Tensor]] = []
    state, _ = integrate(spiral, start(), move=move, steps=3, on_step=lambda s, t: seen.append((t, s[0])))
    assert [t for t, _ in seen] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]
    assert torch.equal(seen[-1][1], state[0])


def test_one_structure_that_is_lost_does_not_stop_the_others() -> None:
    x, f = start()
    x[1, 0] = torch.nan
    state, calls = integrate(spiral, (x, f), move=move, method="adaptive", tolerance=1e-5, steps=10)
    assert bool(state[0][1].isnan().all())
    assert float((state[0][0] - solution(1.0)[0][0]).abs().max()) < 1e-4
    assert calls < 200


def test_a_field_without_a_solution_ends_all_the_same() -> None:
    state, calls = integrate(
        lambda s, t: (s[0] ** 2,),
        (torch.tensor([2.0], dtype=torch.float64),),
        move=lambda a, b: (a[0] + b[0],),
        method="adaptive",
        steps=10,
    )
    assert not bool(state[0].isfinite().all()) or float(state[0]) > 1e3
    assert calls < 3 * 100 * 10 + 100


def test_no_gradient_is_lost() -> None:
    x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    state, _ = integrate(lambda s, t: (-s[0],), (x,), move=lambda a, b: (a[0] + b[0],), steps=10)
    (gradient,) = torch.autograd.grad(state[0], x)
    assert float(gradient) == pytest.approx(0.9**10)


def test_anti_annealing_begins_where_it_is_told() -> None:
    v = torch.tensor([2.0, -1.0])
    assert torch.equal(anti_annealed(v, 0.3, 5.0, 0.5), v)
    torch.testing.assert_close(anti_annealed(v, 0.7, 5.0, 0.5), 2 * v)
    torch.testing.assert_close(anti_annealed(v, 1.0, 5.0, 0.0), 6 * v)


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="no method 'rk4'"):
        integrate(spiral, start(), move=move, method="rk4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one step"):
        integrate(spiral, start(), move=move, steps=0)
    with pytest.raises(ValueError, match="tolerance"):
        integrate(spiral, start(), move=move, method="adaptive", tolerance=0.0)
