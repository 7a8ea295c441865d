"""Errors of predicted positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eqcli.data.particles import ParticleSet

Array = NDArray[np.float64]


def position_errors(predicted: Array, target: Array) -> dict[str, float]:
    """Mean square error of the coordinates (`mse`), its root and the mean absolute error."""
    difference = predicted - target
    mse = float((difference**2).mean())
    return {"mse": mse, "rmse": mse**0.5, "mae": float(np.abs(difference).mean())}


def baselines(part: ParticleSet, fitted_to: ParticleSet) -> dict[str, dict[str, float]]:
    """Errors of what needs no model.

    `still`: nothing moves. `linear`: every particle goes straight on, for the time
    that fits the systems `fitted_to` best.
    """
    shift = fitted_to.target - fitted_to.positions
    square = float((fitted_to.velocities**2).sum())
    time = float((shift * fitted_to.velocities).sum()) / square if square else 0.0
    return {
        "still": position_errors(part.positions, part.target),
        "linear": position_errors(part.positions + time * part.velocities, part.target),
    }
