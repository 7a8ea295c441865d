"""Poses to judge: near-native ones within the bound, displaced ones beyond it, without needless clashes."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.data.decoys import CLASH, MARGIN, judged_poses, moved_poses, rmsd
from tests.data.docking_case import complexes


def clashes(poses: np.ndarray, receptor: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(poses[:, :, None] - receptor, axis=-1)
    return np.asarray((lengths.min(-1) < CLASH).sum(-1))


@pytest.mark.parametrize("near", [0.3, 2.0, 4.0])
def test_near_and_far(near: float) -> None:
    for seed, entry in enumerate(complexes().ligands):
        random = np.random.default_rng(seed)
        poses, is_near = judged_poses(entry, complexes().receptors[entry.receptor], 8, near, random)
        assert poses.shape == (9, *entry.pose.shape)
        assert is_near.tolist() == [True] + [False] * 8
        errors = rmsd(poses, entry.pose)
        assert errors[0] < near
        assert (errors[1:] > MARGIN * near).all()
        assert np.isfinite(poses).all()


def test_near_native_poses_are_no_copies_of_the_crystal_pose() -> None:
    entry, place = complexes().ligands[3], complexes().receptors[0]
    errors = [rmsd(judged_poses(entry, place, 1, 2.0, np.random.default_rng(k))[0], entry.pose)[0] for k in range(30)]
    assert min(errors) > 0
    assert np.std(errors) > 0.1
    assert max(errors) > 0.7


def test_bond_lengths_survive() -> None:
    for entry in complexes().ligands:
        poses, _ = judged_poses(entry, complexes().receptors[entry.receptor], 6, 2.0, np.random.default_rng(0))
        i, j = entry.rigid.T
        lengths = np.linalg.norm(poses[:, i] - poses[:, j], axis=-1)
        assert np.allclose(lengths, np.linalg.norm(entry.pose[i] - entry.pose[j], axis=-1), atol=1e-9)


def test_motions_are_as_large_as_asked() -> None:
    entry = complexes().ligands[0]
    nothing = np.zeros(5)
    random = np.random.default_rng(0)
    assert np.allclose(moved_poses(entry, nothing, nothing, nothing, random), entry.pose)
    many = np.ones(4000)
    shifted = moved_poses(entry, 2.0 * many, 0 * many, 0 * many, random)
    assert np.allclose((shifted - entry.pose).std(axis=0), 2.0, rtol=0.06)
    turned = moved_poses(entry, 0 * many, 0.1 * many, 0 * many, random)
    assert np.allclose(turned.mean(1), entry.pose.mean(0))
    arms = entry.pose - entry.pose.mean(0)
    expected = 0.1 * np.sqrt(2 * (arms**2).sum(-1).mean())
    assert np.sqrt((rmsd(turned, entry.pose) ** 2).mean()) == pytest.approx(expected, rel=0.1)


def test_displaced_poses_clash_less_than_random_ones() -> None:
    made = complexes()
    found, drawn = [], []
    random = np.random.default_rng(1)
    for entry in made.ligands:
        place = made.receptors[entry.receptor]
        poses, _ = judged_poses(entry, place, 12, 2.0, random)
        found.append(clashes(poses[1:], place.positions).mean())
        sizes = [random.choice(values, 200) for values in ([0.5, 1.5, 3.0], [0.3, 1.0, 3.0], [0.3, 1.5])]
        free = moved_poses(entry, *sizes, random)
        free = free[rmsd(free, entry.pose) > MARGIN * 2.0]
        drawn.append(clashes(free, place.positions).mean())
    assert np.mean(found) < 0.8 * np.mean(drawn)


def test_the_same_numbers_give_the_same_poses() -> None:
    entry, place = complexes().ligands[1], complexes().receptors[0]
    first, again, other = (judged_poses(entry, place, 4, 2.0, np.random.default_rng(k))[0] for k in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
