"""ASE's optimisers, made to go downhill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.optimize import FIRE, LBFGS

if TYPE_CHECKING:
    from ase.optimize.optimize import Optimizer
    from numpy.typing import NDArray

CURVATURE = 70.0
"""eV/Å^2: the curvature that L-BFGS assumes where it knows nothing (ASE's default)."""


class DownhillLBFGS(LBFGS):
    """L-BFGS whose Hessian stays positive definite.

    Where the energy is concave along a step (past the inflection of a bond, say) the plain
    method learns a negative curvature and climbs. There the step is remembered with the
    initial curvature instead, as in damped BFGS (Nocedal and Wright, Numerical Optimization, 18.3).
    """

    def __init__(self, atoms: Any) -> None:
        super().__init__(atoms, logfile=None, alpha=CURVATURE)  # type: ignore[arg-type]

    def update(
        self,
        pos: NDArray[np.float64],
        forces: NDArray[np.float64],
        r0: NDArray[np.float64] | None,
        f0: NDArray[np.float64] | None,
    ) -> None:
        if r0 is not None and f0 is not None:
            step = pos - r0
            if np.vdot(step, f0 - forces) <= 1e-3 * np.vdot(step, step):
                forces = f0 - CURVATURE * step
        super().update(pos, forces, r0, f0)


def make_optimizer(name: str, target: Any) -> Optimizer:
    """The optimiser called `fire` or `lbfgs`, acting on atoms or on a cell filter; it writes no log."""
    return FIRE(target, logfile=None) if name == "fire" else DownhillLBFGS(target)
