"""Matches by moments, in the chain of registration."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from eqcli.engine.registration import RegistrationSettings, register_clouds
from eqcli.engine.ume_features import UmeFeatures

FEW = UmeFeatures(keys=400)


def surface(seed: int, low: float, high: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Points of a bumpy sheet between two values of x, drawn anew for each seed."""
    x, y = np.random.default_rng(seed).uniform(0, 1, size=(2, 12000))
    z = 0.1 * np.sin(7 * x + 1) * np.cos(9 * y) + 0.08 * np.sin(15 * x * y + 3 * y) + 0.1 * np.sin(5 * (x - y) ** 2)
    points = np.stack([x, y, z], axis=1)
    return points[(x >= low) & (x <= high)]


def test_matches_bring_the_rotation_and_name_their_points() -> None:
    source, target = surface(0, 0.0, 0.75), surface(1, 0.25, 1.0)
    turn = Rotation.random(random_state=2).as_matrix()
    found, facts = FEW.matches(source, target @ turn.T, 0.03, torch.Generator())
    assert facts["key_points"] == [400, 400]
    assert found.rotations is not None
    right = (found.source @ torch.from_numpy(turn).T - found.target).norm(dim=1) < 0.06
    assert right.double().mean() > 0.3
    off = found.rotations[right] @ torch.from_numpy(turn).T
    angles = torch.rad2deg(torch.arccos(((off.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert float(angles.median()) < 10
    assert len(found.source_index) == len(found.target_index) == len(found)


def test_the_chain_finds_the_motion_from_single_matches() -> None:
    source, target = surface(0, 0.0, 0.75), surface(1, 0.25, 1.0)
    turn, shift = Rotation.random(random_state=3), np.array([1.0, -2.0, 0.5])
    settings = RegistrationSettings(method="ume", solver="one-match", voxel=0.03)
    found = register_clouds(source, turn.apply(target) + shift, settings, features=FEW)
    assert (found.method, found.solver, found.reliable) == ("ume", "one-match", True)
    off = Rotation.from_matrix(found.motion.rotation.numpy()) * turn.inv()
    assert np.degrees(off.magnitude()) < 1
    np.testing.assert_allclose(
        found.motion.apply(torch.from_numpy(source[:50])), turn.apply(source[:50]) + shift, atol=0.02
    )
