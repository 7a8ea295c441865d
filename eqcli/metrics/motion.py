"""Errors of predicted positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eqcli.data.particles import ParticleSet


def mean_square(predicted: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Mean over all coordinates of the square of the error."""
    return float(((predicted - target) ** 2).mean())


def baselines(part: ParticleSet, train: ParticleSet) -> dict[str, float]:
    """Mean square errors of what needs no model.

    `still`: nothing moves. `linear`: every particle goes straight on, for the time
    that fits the training systems best.
    """
    shift = train.target - train.positions
    time = (shift * train.velocities).sum() / max(float((train.velocities**2).sum()), np.finfo(float).tiny)
    return {
        "still": mean_square(part.positions, part.target),
        "linear": mean_square(part.positions + time * part.velocities, part.target),
    }
