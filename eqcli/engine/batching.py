"""Budgets of what is computed here: evaluations of potentials, samples of generators, steps of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from eqcli.data.memory import step_bytes
from eqcli.engine.memory_budget import MemoryBudget
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential

EVALUATION = 0.3
"""Memory of energies and forces over the estimate of a training step, see `data.memory.step_bytes`."""

CPU_BYTES = 150_000_000
"""By estimate. On a CPU larger batches are no faster, and a bound that does not depend on measurements makes batches,
and with them results, the same to the last bit whenever memory is plenty."""

PAIR_ARRAYS = 3
"""Arrays over pairs of atoms that a layer has at once."""


class BatchBudget(MemoryBudget):
    """The budget of evaluations of a potential.

    Parameters
    ----------
    potential
        The model, for the estimate of its memory and its device.
    atoms
        Largest number of atoms; None chooses by the memory of the device.
    """

    def __init__(self, potential: Potential, atoms: int | None = None, *, report: Reporter | None = None) -> None:
        device = next(potential.parameters()).device
        size, config = potential.dtype.itemsize, potential.config
        super().__init__(
            device,
            lambda n, edges: EVALUATION * step_bytes(config, n, edges, size),
            atoms=atoms,
            most_bytes=CPU_BYTES if device.type == "cpu" else None,
            one_by_one=potential.one_by_one,
            report=report,
        )


def training_budget(
    config: Any, device: torch.device, dtype: torch.dtype, *, report: Reporter | None = None
) -> MemoryBudget:
    """What a step of training may hold at once on a device.

    The recipe says how large a batch is; this says whether it fits the memory as it stands. Steps that are run inside
    `watch` correct the estimate. What was decided is kept by `facts`, for a training that goes on later.

    Parameters
    ----------
    config
        The hyper-parameters of the model, see `data.memory.step_bytes`.
    dtype
        The precision that the training computes in.
    """
    return MemoryBudget(
        device,
        lambda n, edges: float(step_bytes(config, n, edges, dtype.itemsize)),
        most_atoms=float("inf"),
        grow=False,
        report=report,
    )


def sampling_budget(model: torch.nn.Module, atoms: int | None, *, report: Reporter | None = None) -> MemoryBudget:
    """The budget of networks that look at all pairs of atoms and are not differentiated, such as generators.

    The estimate is that of a few arrays over pairs, as wide as the widest linear map takes them. Batches do not
    begin small, so that a run which goes on after an interruption plans those that it would have had.
    """
    weights = list(model.parameters())
    width = max((weight.shape[-1] for weight in weights if weight.dim() == 2), default=1)
    return MemoryBudget(
        weights[0].device,
        lambda n, pairs: float(PAIR_ARRAYS * width * weights[0].dtype.itemsize * (pairs + n)),
        atoms=atoms,
        grow=False,
        report=report,
    )
