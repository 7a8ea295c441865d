"""Exact log-likelihood of continuous normalising flows, structure by structure.

Along the flow d log p / dt = -div v (Chen et al., NeurIPS 2018, theorem 1), on flat manifolds as in R^n. The
divergence is exact, or an unbiased estimate from one random direction (Hutchinson's; Grathwohl et al., ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from eqcli.diffusion.integrate import Method, Move, State, Velocity, integrate

Divergence = Literal["exact", "hutchinson"]


def log_likelihood(
    velocity: Velocity,
    state: State,
    base_log_density: Callable[[State], Tensor],
    *,
    move: Move,
    owners: Sequence[Tensor],
    count: int,
    steps: int = 100,
    method: Method = "heun",
    tolerance: float = 1e-5,
    divergence: Divergence = "exact",
    noise: State | None = None,
) -> tuple[Tensor, int]:
    """Log density of `state` at t = 1 under the flow that begins with the base density at t = 0.

    Parameters
    ----------
    velocity
        `velocity(state, t)`; the structures of a batch must not see one another.
    state
        Parts `[rows, ...]`, as data; not made in inference mode.
    base_log_density
        Log density of each structure at t = 0, `[count]`.
    move
        The exponential map of each part.
    owners
        For each part the structure of each row, `[rows]`.
    count
        Number of structures.
    steps, method, tolerance
        Of the integration backwards in time, see :func:`eqcli.diffusion.integrate.integrate`.
    divergence
        `exact`, one backward pass for each dimension of the largest structure at every call, or `hutchinson`, one.
    noise
        The random direction of `hutchinson`: numbers of mean 0 and variance 1 in the shape of the state.

    Returns
    -------
    Log densities `[count]` in float64, in units of the volume of the state, and the number of calls.
    """
    if divergence not in get_args(Divergence):
        raise ValueError(f"there is no divergence '{divergence}'; choose one of {', '.join(get_args(Divergence))}")
    if divergence == "hutchinson" and noise is None:
        raise ValueError("the estimated divergence needs noise in the shape of the state")
    probes = [noise] if divergence == "hutchinson" and noise is not None else list(_unit_probes(state, owners, count))

    def augmented(whole: State, t: float) -> State:
        points = tuple(part.detach().requires_grad_() for part in whole[:-1])
        with torch.enable_grad():
            rates = velocity(points, t)
            traces = _traces(rates, points, probes, owners, count)
        return (*(rate.detach() for rate in rates), traces)

    def moved(whole: State, tangent: State) -> State:
        return (*move(whole[:-1], tangent[:-1]), whole[-1] + tangent[-1])

    zero = torch.zeros(count, dtype=torch.float64, device=state[0].device)
    reached, calls = integrate(
        augmented, (*state, zero), move=moved, start=1.0, end=0.0, steps=steps, method=method, tolerance=tolerance
    )
    # Backwards in time the integral of the divergence comes with its sign turned.
    return base_log_density(reached[:-1]).to(torch.float64) + reached[-1], calls


def _traces(rates: State, points: State, probes: list[State], owners: Sequence[Tensor], count: int) -> Tensor:
    """sum_i e_i^T (dv/dx) e_i over the probes e, for each structure."""
    total = torch.zeros(count, dtype=torch.float64, device=points[0].device)
    moving = [(rate, n) for n, rate in enumerate(rates) if rate.requires_grad]
    if not moving:
        return total
    for probe in probes:
        gradients = torch.autograd.grad(
            [rate for rate, _ in moving],
            points,
            [probe[n].to(rate.dtype) for rate, n in moving],
            retain_graph=True,
            allow_unused=True,
        )
        for gradient, direction, owner in zip(gradients, probe, owners, strict=True):
            if gradient is not None:
                products = (gradient * direction).to(torch.float64).reshape(len(owner), -1).sum(1)
                total = total.index_add(0, owner, products)
    return total


def _unit_probes(state: State, owners: Sequence[Tensor], count: int) -> Iterator[State]:
    """Directions that have one dimension of every structure each: a structure sees only its own part of them."""
    for n, (part, owner) in enumerate(zip(state, owners, strict=True)):
        ranks = _ranks(owner, count)
        width = part[:1].numel()
        for rank in range(int(ranks.max()) + 1 if len(ranks) else 0):
            for column in range(width):
                probe = [torch.zeros_like(other) for other in state]
                flat = torch.zeros(len(part), width, dtype=part.dtype, device=part.device)
                flat[ranks == rank, column] = 1
                probe[n] = flat.reshape(part.shape)
                yield tuple(probe)


def _ranks(owner: Tensor, count: int) -> Tensor:
    """The how-many-th row of its structure each row is, `[rows]`."""
    order = torch.argsort(owner, stable=True)
    sizes = torch.bincount(owner, minlength=count)
    starts = sizes.cumsum(0) - sizes
    ranks = torch.empty_like(owner)
    ranks[order] = torch.arange(len(owner), device=owner.device) - starts[owner[order]]
    return ranks
