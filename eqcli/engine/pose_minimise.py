"""Small motions of all atoms of a docked pose: bonds, angles and rings give way while the receptor stands still.

What is minimised is the ligand's force field, the Vina terms with the rigid receptor, and springs that begin to pull
when a heavy atom has gone `SLACK` Å: the force field knows nothing of the pocket's charges, and would fold the ligand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.models.docking.vina_terms import CUTOFF, pair_energy, pair_kind, pair_slope

if TYPE_CHECKING:
    from eqcli.engine.ligand_field import LigandField
    from eqcli.io.ligand_topology import LigandTopology
    from eqcli.models.docking.site import Site

FloatArray = NDArray[np.float64]

SLACK, SPRING = 0.2, 20.0
"""Å, and kcal/mol/Å^2."""

BEYOND = 0.5
"""Å beyond the cutoff at which a pair is still held in view: heavy atoms hardly go farther."""

STEPS = 60


def minimised(
    field: LigandField, site: Site, topology: LigandTopology, positions: FloatArray, *, steps: int = STEPS
) -> FloatArray:
    """The pose `[N, 3]` after `steps` steps of L-BFGS or at the minimum; as it was where that is not finite."""
    from scipy.optimize import minimize

    start, heavy = positions, topology.heavy
    contacts = _Contacts(site, topology, positions)

    def energy(flat: FloatArray) -> tuple[float, FloatArray]:
        here = flat.reshape(-1, 3)
        own, slope = field.energy_and_gradient(here)
        outer, pull = contacts(here)
        held, spring = _springs(here, start, heavy)
        return own + outer + held, (slope + pull + spring).reshape(-1)

    found = minimize(energy, start.reshape(-1), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20})
    ended = np.asarray(found.x, dtype=np.float64).reshape(-1, 3)
    return ended if np.isfinite(ended).all() else positions


class _Contacts:
    """The Vina terms of a ligand's heavy atoms with the receptor's atoms near one pose, in float64."""

    def __init__(self, site: Site, topology: LigandTopology, positions: FloatArray) -> None:
        from scipy.spatial import cKDTree

        receptor = site.positions.cpu().double().numpy()
        near = cKDTree(receptor).query_ball_point(positions, CUTOFF + BEYOND)
        rows = [(i, j) for i in np.flatnonzero(topology.heavy) for j in near[i]]
        pairs = np.array(rows, dtype=np.int64).reshape(-1, 2)
        self.count = len(positions)
        self.atoms = pairs[:, 0]
        self.others = receptor[pairs[:, 1]]
        own = torch.as_tensor(np.asarray(topology.types)[self.atoms])
        self.kind = pair_kind(own, site.types.cpu()[torch.from_numpy(pairs[:, 1])])

    def __call__(self, here: FloatArray) -> tuple[float, FloatArray]:
        """kcal/mol, and its gradient `[N, 3]`."""
        apart = here[self.atoms] - self.others
        distance = np.sqrt(np.maximum((apart**2).sum(axis=1), 1e-12))
        length = torch.from_numpy(distance)
        push = (pair_slope(length, self.kind).numpy() / distance)[:, None] * apart
        columns = [np.bincount(self.atoms, weights=push[:, k], minlength=self.count) for k in range(3)]
        return float(pair_energy(length, self.kind).sum()), np.stack(columns, axis=1)


def _springs(here: FloatArray, start: FloatArray, heavy: NDArray[np.bool_]) -> tuple[float, FloatArray]:
    away = here - start
    distance = np.linalg.norm(away, axis=1)
    over = np.where(heavy, np.maximum(distance - SLACK, 0.0), 0.0)
    gradient = (SPRING * over / np.maximum(distance, 1e-9))[:, None] * away
    return float(0.5 * SPRING * (over**2).sum()), gradient
