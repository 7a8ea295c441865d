"""Averages over many independent structures, with their errors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.state import BatchState
from tests.engine.batched.analytic import AnalyticField


def sampled(
    field: AnalyticField,
    state: BatchState,
    settings: MotionSettings,
    probe: Callable[[BatchState], Tensor],
    *,
    burn: int,
    every: int = 5,
) -> tuple[BatchState, Tensor]:
    """The end of a run of `settings.steps` steps, and `probe` ([B, ...]) of each `every`-th state after `burn`."""
    stepper = make_moving(settings)
    state = stepper.begin(field.evaluate(state))
    found = []
    for n in range(settings.steps):
        state = stepper.step(state, field)
        if n >= burn and n % every == 0:
            found.append(probe(state))
    return state, torch.stack(found)


def require_mean(samples: Tensor, expected: float, precision: float, bias: float = 0.0) -> None:
    """Fails unless the mean of samples `[times, structures]` is `expected` within 4 standard errors and `bias`.

    The error is that of the means of the structures, which are independent of each other. Fails too if it is above
    `precision` (relative to what is expected): then the test would say nothing.
    """
    means = samples.mean(dim=0)
    error = float(means.std()) / len(means) ** 0.5
    assert error < precision * abs(expected), f"error {error} is too large to tell anything of {expected}"
    assert abs(float(means.mean()) - expected) < 4 * error + bias, f"{float(means.mean())} ± {error}, not {expected}"


def displacements(spread: float, structures: int, atoms: int, seed: int = 0) -> Tensor:
    """Normal displacements of width `spread` Å, `[structures * atoms, 3]`."""
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(structures * atoms, 3, generator=generator, dtype=torch.float64)
