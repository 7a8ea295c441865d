"""Small motions of all atoms of a docked pose: bonds, angles and rings give way while the receptor stands still.

What is minimised is the ligand's force field, the Vina terms with the rigid receptor, and springs that begin to pull
when a heavy atom has gone `SLACK` Å: the force field knows nothing of the pocket's charges, and would fold the ligand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eqcli.engine.ligand_field import LigandField
    from eqcli.models.docking.vina_score import VinaScore

FloatArray = NDArray[np.float64]

SLACK, SPRING = 0.2, 20.0
"""Å, and kcal/mol/Å^2."""

STEPS = 60


def minimised(field: LigandField, score: VinaScore, positions: FloatArray, *, steps: int = STEPS) -> FloatArray:
    """The pose `[N, 3]` after `steps` steps of L-BFGS or at the minimum; as it was where that is not finite.

    `score` must be in float64 and count no pairs of the ligand: those are the force field's.
    """
    from scipy.optimize import minimize

    start, heavy = positions, field.heavy

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        here = flat.reshape(-1, 3)
        own, slope = field.energy_and_gradient(here)
        outer, pull = _receptor(score, here)
        held, spring = _springs(here, start, heavy)
        return own + outer + held, (slope + pull + spring).reshape(-1)

    found = minimize(energy, start.reshape(-1), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20})
    ended = np.asarray(found.x, dtype=np.float64).reshape(-1, 3)
    return ended if np.isfinite(ended).all() else positions


def _receptor(score: VinaScore, here: FloatArray) -> tuple[float, FloatArray]:
    energy, gradient = score.energy_and_gradient(torch.from_numpy(here)[None].to(score.site.positions.device))
    return float(energy[0]), gradient[0].cpu().numpy()


def _springs(here: FloatArray, start: FloatArray, heavy: NDArray[np.bool_]) -> tuple[float, FloatArray]:
    away = here - start
    distance = np.linalg.norm(away, axis=1)
    over = np.where(heavy, np.maximum(distance - SLACK, 0.0), 0.0)
    gradient = (SPRING * over / np.maximum(distance, 1e-9))[:, None] * away
    return float(0.5 * SPRING * (over**2).sum()), gradient
