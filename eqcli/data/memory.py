"""How much memory one training step needs, before anything is run."""

from __future__ import annotations

from functools import cache
from typing import Any

from eqcli.data.batches import batch_budget, largest_batch
from eqcli.data.frames import FrameTable
from eqcli.data.split import Indices
from eqcli.engine.memory_limit import total_memory

BACKWARD_FACTOR = 3.0
"""Forward activations, their gradients, and what the second derivatives for force training keep."""


def step_bytes(model: Any, atoms: int, edges: int, itemsize: int = 4) -> int:
    """Estimate of the memory of a training step with forces, in bytes.

    Counted are the arrays that a message-passing model keeps for the backward
    pass: per edge the spherical harmonics `(max_ell + 1)^2`, the radial network,
    one weight and one message per path and channel, in each layer; per atom the
    features and the products up to the correlation order. The sum is multiplied
    by 3 for gradients and second derivatives. It is meant to be right within a
    factor of two or three.
    """
    channels = getattr(model, "channels", 16)
    ell = getattr(model, "max_ell", 1)
    top = getattr(model, "max_L", 0)
    layers = getattr(model, "num_interactions", 1)
    radial = getattr(model, "num_radial_basis", 8) + 2 * sum(getattr(model, "radial_MLP", ()))
    correlation = getattr(model, "correlation", 1)
    harmonics = (ell + 1) ** 2
    edge = atom = 0
    for layer in range(layers):
        paths, width = _paths(top if layer else 0, ell)
        edge += radial + channels * (paths + width)
        atom += channels * (width + harmonics * (1 + correlation) + 2 * (top + 1) ** 2)
    edge += harmonics + 12
    return int(BACKWARD_FACTOR * itemsize * (edges * edge + atoms * atom))


@cache
def _paths(hidden: int, ell: int) -> tuple[int, int]:
    """Number of coupling paths hidden x harmonics -> output up to `ell` of natural parity, and their total width."""
    paths = [
        l3
        for l1 in range(hidden + 1)
        for l2 in range(ell + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, ell) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]
    return len(paths), sum(2 * degree + 1 for degree in paths)


def describe_batches(training: Any, model: Any, table: FrameTable, frames: Indices) -> tuple[str, list[str]]:
    """The largest batch of a recipe's `training` section in words, and warnings about what will not fit."""
    budget, sizes = batch_budget(training.batch, table, frames)
    atoms, edges = largest_batch(budget, table, frames)
    needed = step_bytes(model, atoms, edges, 8 if training.precision == "float64" else 4)
    there, warnings = total_memory(), []
    if needed > there.bytes:
        warnings.append(
            f"the largest batch may need {needed / 1e9:.3g} GB and there is {there.bytes / 1e9:.3g} GB "
            f"({there.source}); lower training.batch or the size of the model"
        )
    if large := int((sizes > budget.limit).sum()):
        warnings.append(
            f"{large} structures exceed the batch budget of {budget.limit} {budget.unit}; each is a batch of its own"
        )
    return f"{atoms} atoms, {edges} neighbour pairs, about {needed / 1e9:.2g} GB (rough estimate)", warnings
