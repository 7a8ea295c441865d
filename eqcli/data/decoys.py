"""Poses for a network that judges: near-native ones, and displaced ones that look as if they could be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from eqcli.geometry.torsions import turned

if TYPE_CHECKING:
    from eqcli.data.complex_set import Floats, LigandEntry, ReceptorEntry

TRIALS = 6
"""Displaced poses drawn for each that is kept: the one that clashes least."""

CLASH = 3.0
"""Å; closer heavy atoms of ligand and receptor clash."""

MARGIN = 1.25
"""Displaced poses have an RMSD of at least this times the bound of near-native ones."""

ATTEMPTS = 20


def judged_poses(
    ligand: LigandEntry, receptor: ReceptorEntry, count: int, near: float, random: np.random.Generator
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The crystal pose jostled within `near` Å RMSD, and `count` displaced poses; `[1 + count, n, 3]` and which is near.

    Displaced poses are turned about their centre, shifted within the pocket, given other torsions, or put where
    other parts of the receptor's surface are.
    """
    poses = [_jostled(ligand, near, random)]
    poses += [_displaced(ligand, receptor, near, random) for _ in range(count)]
    return np.stack(poses), np.array([True] + [False] * count)


def moved_pose(ligand: LigandEntry, shift: float, turn: float, torsion: float, random: np.random.Generator) -> Floats:
    """The crystal pose after a random motion: standard deviations in Å, and in radians for turns and torsions."""
    pose = torch.from_numpy(ligand.pose)
    if len(ligand.rotatable):
        angles = torch.from_numpy(random.normal(scale=torsion, size=len(ligand.rotatable)))
        pose = turned(pose, torch.from_numpy(ligand.rotatable), torch.from_numpy(ligand.moved), angles)
    found = pose.numpy()
    centre = found.mean(0)
    vector = random.normal(scale=turn, size=3)
    moved: Floats = (found - centre) @ rotation_about(vector).T + centre + random.normal(scale=shift, size=3)
    return moved


def rotation_about(vector: Floats) -> Floats:
    """The rotation about a vector by its length in radians, `[3, 3]`."""
    from scipy.spatial.transform import Rotation

    matrix: Floats = Rotation.from_rotvec(vector).as_matrix()
    return matrix


def rmsd(pose: Floats, other: Floats) -> float:
    """Å, atom by atom, without superposition."""
    return float(np.sqrt(((pose - other) ** 2).sum(-1).mean()))


def _jostled(ligand: LigandEntry, near: float, random: np.random.Generator) -> Floats:
    size = random.uniform(0.2, 1.0)
    for _ in range(ATTEMPTS):
        found = moved_pose(ligand, 0.6 * size, 0.25 * size, 0.25 * size, random)
        if rmsd(found, ligand.pose) < near:
            return found
        size *= 0.7
    return ligand.pose


def _displaced(ligand: LigandEntry, receptor: ReceptorEntry, near: float, random: np.random.Generator) -> Floats:
    best, fewest = ligand.pose + 3.0 * near, np.inf
    elsewhere = random.random() < 0.2
    for _ in range(ATTEMPTS):
        drawn = 0
        for _ in range(TRIALS):
            found = moved_pose(ligand, random.choice([0.5, 1.5, 3.0]), random.choice([0.3, 1.0, 3.0]), 1.5, random)
            if elsewhere:
                found = found + _other_place(ligand, receptor, random)
            if rmsd(found, ligand.pose) < MARGIN * near:
                continue
            drawn += 1
            clashes = float((receptor.tree.query(found)[0] < CLASH).sum())
            if clashes < fewest:
                best, fewest = found, clashes
        if drawn:
            return best
    return best


def _other_place(ligand: LigandEntry, receptor: ReceptorEntry, random: np.random.Generator) -> Floats:
    """A shift that takes the ligand's centre near another atom of the receptor."""
    centre = ligand.pose.mean(0)
    target = receptor.positions[random.integers(len(receptor.positions))]
    out = target - receptor.positions.mean(0)
    shift: Floats = target + 4.0 * out / max(float(np.linalg.norm(out)), 1e-6) - centre
    return shift
