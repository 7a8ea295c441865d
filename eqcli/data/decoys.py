"""Poses for a network that judges: near-native ones, and displaced ones that look as if they could be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.geometry.torsions import turned

if TYPE_CHECKING:
    from eqcli.data.complex_set import LigandEntry, ReceptorEntry

Floats = NDArray[np.float64]
Random = np.random.Generator

TRIALS = 4
"""Displaced poses drawn for each that is kept: those that clash least."""

CLASH = 3.0
"""Å; closer heavy atoms of ligand and receptor clash."""

MARGIN = 1.25
"""Displaced poses have an RMSD of at least this times the bound of near-native ones."""

SHIFTS = np.array([0.5, 1.5, 3.0])
TURNS = np.array([0.3, 1.0, 3.0])
TORSIONS = np.array([0.3, 1.5])
"""Sizes of random motions of displaced poses, any with any: Å, and radians."""

ELSEWHERE = 0.15
"""Share of the displaced poses that lie at other parts of the surface."""


def judged_poses(
    ligand: LigandEntry, receptor: ReceptorEntry, count: int, near: float, random: Random
) -> tuple[Floats, NDArray[np.bool_]]:
    """A crystal pose jostled within `near` Å RMSD and `count` displaced ones, `[1 + count, n, 3]`; which is near.

    Displaced poses are turned about their centre, shifted within the pocket, given other torsions, or put where
    other parts of the receptor's surface are.
    """
    size = random.uniform(0.2, 1.0) * 0.5 ** np.arange(JOSTLES)
    close = moved_poses(ligand, 0.6 * size, 0.25 * size, 0.25 * size, random)
    fit = np.flatnonzero(rmsd(close, ligand.pose) < near)
    native = close[fit[0]] if len(fit) else ligand.pose
    return np.stack([native, *_displaced(ligand, receptor, count, near, random)]), np.arange(count + 1) == 0


JOSTLES = 6
"""Near-native poses drawn, each half as far from the crystal pose as the one before; the first near one is kept."""


def moved_poses(
    ligand: LigandEntry, shift: NDArray[Any], turn: NDArray[Any], torsion: NDArray[Any], random: Random
) -> Floats:
    """The crystal pose after K random motions, `[K, n, 3]`; standard deviations in Å and radians, each `[K]`."""
    from scipy.spatial.transform import Rotation

    poses = np.repeat(ligand.pose[None], len(shift), axis=0)
    if len(ligand.rotatable):
        angles = random.normal(size=(len(shift), len(ligand.rotatable))) * torsion[:, None]
        tables = torch.from_numpy(ligand.rotatable), torch.from_numpy(ligand.moved)
        poses = turned(torch.from_numpy(poses), *tables, torch.from_numpy(angles)).numpy()
    centre = poses.mean(1, keepdims=True)
    rotation = Rotation.from_rotvec(random.normal(size=(len(shift), 3)) * turn[:, None]).as_matrix()
    moved: Floats = (poses - centre) @ rotation.transpose(0, 2, 1) + centre
    return moved + (random.normal(size=(len(shift), 3)) * shift[:, None])[:, None]


def rmsd(poses: Floats, other: Floats) -> Floats:
    """Å, atom by atom, without superposition, of poses `[K, n, 3]`."""
    found: Floats = np.sqrt(((poses - other) ** 2).sum(-1).mean(-1))
    return found


def _displaced(ligand: LigandEntry, receptor: ReceptorEntry, count: int, near: float, random: Random) -> Floats:
    """Of those that are far enough from the crystal pose, the ones that clash least."""
    drawn = TRIALS * count
    shift, turn, torsion = (random.choice(values, drawn) for values in (SHIFTS, TURNS, TORSIONS))
    poses = moved_poses(ligand, shift, turn, torsion, random)
    away = np.flatnonzero(random.random(drawn) < ELSEWHERE)
    target = receptor.positions[random.integers(len(receptor.positions), size=len(away))]
    out = target - receptor.positions.mean(0)
    out = 4.0 * out / np.linalg.norm(out, axis=1, keepdims=True).clip(min=1e-6)
    poses[away] += (target + out - ligand.pose.mean(0))[:, None]
    far = rmsd(poses, ligand.pose) > MARGIN * near
    poses[~far] += 3.0 * near  # as good as anywhere else
    clashes = (receptor.tree.query(poses.reshape(-1, 3), distance_upper_bound=CLASH)[0] < CLASH).reshape(drawn, -1)
    # Those of one group compete, so that the places at the surface do not win them all.
    groups = clashes.sum(1).reshape(count, TRIALS)
    chosen: Floats = poses.reshape(count, TRIALS, -1, 3)[np.arange(count), groups.argmin(1)]
    return chosen
