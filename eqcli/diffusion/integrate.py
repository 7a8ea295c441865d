"""Integration of a velocity field on a product of flat manifolds, such as coordinates x lattice x species.

A state is a tuple of tensors. The manifolds are flat (R^n, tori), so that velocities at different points add; the
exponential map `move` takes a state along a tangent of any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Velocity = Callable[[State, float], State]
Move = Callable[[State, State], State]
OnStep = Callable[[State, float], None]
Method = Literal["euler", "heun", "adaptive"]

_SMALLEST_SHARE = 0.01
"""Of the given step, below which an adaptive step is taken as it is."""
_LARGEST_SHARE = 0.1
"""Of the whole way, which no adaptive step exceeds: a field that is calm where it is asked may not be so between."""


def integrate(
    velocity: Velocity,
    state: State,
    *,
    move: Move,
    start: float = 0.0,
    end: float = 1.0,
    steps: int = 100,
    method: Method = "euler",
    tolerance: float = 1e-3,
    on_step: OnStep | None = None,
) -> tuple[State, int]:
    """Follows `velocity(state, t)` from `start` to `end`, which may be the earlier one.

    Parameters
    ----------
    velocity
        The rate of change of each part of the state.
    state
        Where it begins.
    move
        `move(state, tangent)`: the exponential map of each part.
    steps
        Number of equal steps. An adaptive integration begins with a step of this size and takes none below a
        hundredth of it, nor above a tenth of the whole way.
    method
        `euler` (order 1, one call a step), `heun` (order 2, two calls) or `adaptive` (Bogacki and Shampine, Appl.
        Math. Lett. 2, 321 (1989): order 3, three calls a step tried).
    tolerance
        Largest error that an adaptive step may make in any number of the state, in the unit of that number. One
        step serves the whole batch: what one structure becomes depends, within the tolerance, on the others.
    on_step
        Called with the state and the time reached, after every step.

    Returns
    -------
    The state at `end` and how often `velocity` was called.
    """
    if method not in get_args(Method):
        raise ValueError(f"there is no method '{method}'; choose one of {', '.join(get_args(Method))}")
    if steps < 1:
        raise ValueError(f"an integration has at least one step, not {steps}")
    if method == "adaptive":
        return _adaptive(velocity, state, move, (start, end), steps, tolerance, on_step)
    size = (end - start) / steps
    for n in range(steps):
        t = start + n * size
        rate = velocity(state, t)
        if method == "heun":
            later = velocity(move(state, _sum((size, rate))), _time(start, end, steps, n + 1))
            rate = _sum((0.5, rate), (0.5, later))
        state = move(state, _sum((size, rate)))
        if on_step is not None:
            on_step(state, _time(start, end, steps, n + 1))
    return state, steps * (2 if method == "heun" else 1)


def anti_annealed(velocity_part: Tensor, t: float, slope: float, start: float) -> Tensor:
    """The velocity times 1 + slope max(t - start, 0), the faster the later (Miller et al., ICML 2024, section 4.3)."""
    return velocity_part * (1 + slope * max(t - start, 0.0))


def _adaptive(
    velocity: Velocity,
    state: State,
    move: Move,
    span: tuple[float, float],
    steps: int,
    tolerance: float,
    on_step: OnStep | None,
) -> tuple[State, int]:
    if not tolerance > 0:
        raise ValueError(f"the tolerance of adaptive steps is above zero, not {tolerance}")
    t, end = span
    size = (end - t) / steps
    smallest, largest = _SMALLEST_SHARE * abs(size), max(abs(size), _LARGEST_SHARE * abs(end - t))
    rate = velocity(state, t)
    calls = 1
    while t != end:
        left = end - t
        last = abs(left) <= abs(size)
        # A tiny last step is avoided by two of the same length.
        step = left if last else (left / 2 if abs(left) < abs(size) + smallest else size)
        reached = end if last else t + step
        proposed, later, error = _try_step(velocity, state, rate, move, t, step, reached)
        calls += 3
        worst = _largest(error, rate)
        if worst <= tolerance or abs(step) <= 1.001 * smallest:
            state, rate, t = proposed, later, reached
            if on_step is not None:
                on_step(state, t)
        growth = 5.0 if worst == 0 else min(5.0, max(0.2, 0.9 * (tolerance / worst) ** (1 / 3)))
        size = math.copysign(min(max(abs(step) * growth, smallest), largest), step)
    return state, calls


def _try_step(
    velocity: Velocity, state: State, rate: State, move: Move, t: float, step: float, reached: float
) -> tuple[State, State, State]:
    """The state after a step of third order, the velocity there and the difference to the second order."""
    second = velocity(move(state, _sum((step / 2, rate))), t + step / 2)
    third = velocity(move(state, _sum((3 * step / 4, second))), t + 3 * step / 4)
    proposed = move(state, _sum((2 * step / 9, rate), (step / 3, second), (4 * step / 9, third)))
    later = velocity(proposed, reached)
    error = _sum((-5 * step / 72, rate), (step / 12, second), (step / 9, third), (-step / 8, later))
    return proposed, later, error


def _largest(error: State, rate: State) -> float:
    """The largest error; infinite where a number has become none, but those that were none before do not count."""
    worst = 0.0
    for part, before in zip(error, rate, strict=True):
        sizes = torch.where(before.isfinite(), part.abs().nan_to_num(nan=torch.inf), 0.0)
        if sizes.numel():
            worst = max(worst, float(sizes.max()))
    return worst


def _sum(*terms: tuple[float, State]) -> State:
    """The sum of tangents, each times its factor."""
    factor, total = terms[0]
    total = tuple(factor * part for part in total)
    for factor, tangent in terms[1:]:
        total = tuple(sum_ + factor * part for sum_, part in zip(total, tangent, strict=True))
    return total


def _time(start: float, end: float, steps: int, n: int) -> float:
    """The time after n of the equal steps, `end` itself after the last."""
    return end if n == steps else start + n * ((end - start) / steps)
