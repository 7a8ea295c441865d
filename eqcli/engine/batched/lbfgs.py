"""L-BFGS with a Hessian that stays positive definite, for many structures at once.

The steps are those of the two loops of Nocedal (Math. Comp. 35, 773 (1980)), which are solutions of two triangular
systems in the products s_i y_k of the remembered steps s and changes of the gradient y: no loop over the memory
is needed. Parameters and the treatment of concave energies are those of `engine.optimizers.DownhillLBFGS`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from eqcli.engine.batched.rows import dot, longest, recall, remember, spread, total
from eqcli.engine.batched.state import BatchState

CURVATURE = 70.0
"""eV/Å^2: the curvature that is assumed where nothing is known."""

LEAST_CURVATURE = 1e-3
"""eV/Å^2: where the energy curves less along a step, the step is remembered with `CURVATURE`."""

MEMORY = 100
"""Steps that are remembered."""

MAX_STEP = 0.2
"""Å: the longest step of a row; longer ones are shortened with all rows of their structure."""


class Lbfgs:
    """L-BFGS; steps and changes of the gradient are kept as `[rows, 3, MEMORY]`, the newest last, zeros before."""

    def begin(self, state: BatchState, forces: Tensor) -> BatchState:
        """The state with an empty memory, `forces` telling which degrees of freedom there are."""
        for name in ("lbfgs/steps", "lbfgs/changes"):
            state = remember(state, name, forces.new_zeros(len(forces), 3, MEMORY))
        products = torch.eye(MEMORY, dtype=forces.dtype, device=forces.device).repeat(state.n_structures, 1, 1)
        return state.with_(systems={"lbfgs/products": products, "lbfgs/count": torch.zeros_like(state.step)})

    def propose(self, state: BatchState, forces: Tensor) -> tuple[BatchState, Tensor]:
        """The state, and the step of each row in Å."""
        used = _used(state)
        if not used:
            return state, _shortened(state, forces / CURVATURE)
        steps, changes = (recall(state, f"lbfgs/{name}")[..., -used:] for name in ("steps", "changes"))
        upper = state.systems["lbfgs/products"][:, -used:, -used:]
        # First loop, newest to oldest: g - sum a_i y_i with (s_i y_i) a_i = s_i (g - newer a_k y_k).
        a = torch.linalg.solve_triangular(upper, _products(state, steps, -forces), upper=True)
        z = (-forces - _combined(state, changes, a)) / CURVATURE
        # Second loop, oldest to newest: z + sum b_i s_i with (s_i y_i) b_i = (s_i y_i) a_i - y_i (z + older b_k s_k).
        diagonal = upper.diagonal(dim1=1, dim2=2)[:, :, None]
        right = diagonal * a - _products(state, changes, z)
        b = torch.linalg.solve_triangular(upper.transpose(1, 2), right, upper=False)
        return state, _shortened(state, -(z + _combined(state, steps, b)))

    def learn(self, state: BatchState, step: Tensor, change: Tensor) -> BatchState:
        """The state with a step (Å) and the change of the gradient along it (eV/Å) in its memory."""
        squared = dot(state, step, step)
        curved = dot(state, step, change) > LEAST_CURVATURE * squared
        change = torch.where(spread(state, curved, step)[:, None], change, CURVATURE * step)
        steps = torch.cat([recall(state, "lbfgs/steps")[..., 1:], step[..., None]], dim=2)
        changes = torch.cat([recall(state, "lbfgs/changes")[..., 1:], change[..., None]], dim=2)
        products = pad(state.systems["lbfgs/products"][:, 1:, 1:], (0, 1, 0, 1))
        products[:, :, -1] = _products(state, steps, change).squeeze(2)
        # A structure that did not move has nothing to remember.
        products[:, -1, -1] = torch.where(squared > 0, products[:, -1, -1], torch.ones_like(squared))
        state = remember(remember(state, "lbfgs/steps", steps), "lbfgs/changes", changes)
        return state.with_(systems={"lbfgs/products": products, "lbfgs/count": state.systems["lbfgs/count"] + 1})


def _used(state: BatchState) -> int:
    """How much of the memory may hold something. Asking a CUDA device would wait for it, and all is quick there."""
    return MEMORY if state.batch.is_cuda else min(MEMORY, int(state.systems["lbfgs/count"].max()))


def _products(state: BatchState, memory: Tensor, rows: Tensor) -> Tensor:
    """Scalar product of each remembered vector with `rows`, `[B, memory, 1]`."""
    return total(state, (memory * rows[..., None]).sum(1))[..., None]


def _combined(state: BatchState, memory: Tensor, weights: Tensor) -> Tensor:
    """Sum of the remembered vectors with weights `[B, memory, 1]`, `[rows, 3]`."""
    return (spread(state, weights.transpose(1, 2), memory) * memory).sum(2)


def _shortened(state: BatchState, step: Tensor) -> Tensor:
    length = longest(state, step)
    return step * spread(state, MAX_STEP / length.clamp(min=MAX_STEP), step)[:, None]
