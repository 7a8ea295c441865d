"""Superposed RMSD without the rotation: SciPy's rotation gives the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.geometry.superposed import superposed_rmsds


def test_the_same_as_with_the_best_rotation() -> None:
    source = np.random.default_rng(5)
    target, clouds = source.normal(size=(9, 3)), source.normal(size=(6, 9, 3))
    found = superposed_rmsds(target, clouds)
    for cloud, value in zip(clouds, found, strict=True):
        _, residual = Rotation.align_vectors(target - target.mean(axis=0), cloud - cloud.mean(axis=0))
        assert value == pytest.approx(residual / 3.0, abs=1e-9)


def test_turned_clouds_are_the_same_and_mirrored_ones_are_not() -> None:
    target = np.random.default_rng(1).normal(size=(5, 3))
    turned = Rotation.from_euler("xyz", [0.3, 1.0, 2.0]).apply(target) + 4
    found = superposed_rmsds(target, np.stack([turned, -target]))
    assert found[0] < 1e-7
    assert found[1] > 0.1
