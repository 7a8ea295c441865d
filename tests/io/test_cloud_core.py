"""Clouds moved, taken in part and cleaned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.errors import InputError
from eqcli.io.point_cloud import PointCloud, cleaned
from tests.io.clouds import full_cloud, plain_cloud


def motion(seed: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return matrix


def test_a_motion_turns_points_normals_and_viewpoint_and_keeps_the_rest() -> None:
    cloud, matrix = full_cloud(), motion(1)
    moved = cloud.moved(matrix)
    for i in range(len(cloud)):
        assert moved.points[i] == pytest.approx(matrix[:3, :3] @ cloud.points[i] + matrix[:3, 3])
        assert moved.normals is not None
        assert cloud.normals is not None
        assert moved.normals[i] == pytest.approx(matrix[:3, :3] @ cloud.normals[i])
    assert (moved.colours == cloud.colours).all()
    assert (moved.fields["label"] == cloud.fields["label"]).all()
    assert moved.units == "mm"


def test_motions_compose_and_the_inverse_leads_back() -> None:
    cloud, first, second = full_cloud(), motion(1), motion(2)
    twice, once = cloud.moved(first).moved(second), cloud.moved(second @ first)
    back = once.moved(np.linalg.inv(second @ first))
    assert np.allclose(twice.points, once.points, atol=1e-13)
    assert np.allclose(back.points, cloud.points, atol=1e-13)
    assert cloud.viewpoint is not None
    assert twice.viewpoint is not None
    assert once.viewpoint is not None
    assert back.viewpoint is not None
    assert np.allclose(twice.viewpoint, once.viewpoint, atol=1e-13)
    assert np.allclose(back.viewpoint, cloud.viewpoint, atol=1e-13)


def test_what_is_seen_from_the_viewpoint_does_not_change_under_a_motion() -> None:
    cloud = full_cloud()
    moved = cloud.moved(motion(3))

    def seen(c: PointCloud) -> np.ndarray:
        assert c.viewpoint is not None
        return Rotation.from_quat(c.viewpoint[[4, 5, 6, 3]]).inv().apply(c.points - c.viewpoint[:3])

    assert np.allclose(seen(moved), seen(cloud), atol=1e-13)


def test_a_moved_or_taken_cloud_shares_no_lists_with_the_first() -> None:
    cloud = full_cloud()
    for other in (cloud.moved(np.eye(4)), cloud.taken(np.arange(3))):
        other.notes.append("more")
        other.fields["more"] = np.zeros(len(other))
    assert cloud.notes == []
    assert "more" not in cloud.fields


def test_a_motion_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="4 x 4"):
        full_cloud().moved(np.eye(3))


@pytest.mark.parametrize("index", [np.array([5, 3, 3]), np.arange(60) % 7 == 0, slice(10, 20)])
def test_taking_takes_everything_of_the_points(index: np.ndarray | slice) -> None:
    cloud = full_cloud()
    part = cloud.taken(index)
    assert (part.points == cloud.points[index]).all()
    for name in ("normals", "colours", "intensity", "weights"):
        assert (getattr(part, name) == getattr(cloud, name)[index]).all()
    assert (part.fields["height"] == cloud.fields["height"][index]).all()


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 values of label"):
        PointCloud(np.zeros((4, 3)), fields={"label": np.zeros(3)})


def test_cleaning_leaves_out_what_is_not_finite_and_repetitions_in_order() -> None:
    cloud = full_cloud()
    places = np.array([0, 1, 2, 1, 3, 4, 0, 5])
    dirty = cloud.taken(places)
    dirty.points[4, 1] = np.nan
    dirty.points[5, 2] = np.inf
    clean = cleaned(dirty)
    assert (clean.points == cloud.points[[0, 1, 2, 5]]).all()
    assert (clean.fields["label"] == cloud.fields["label"][[0, 1, 2, 5]]).all()
    assert [note.rsplit(" ", 1)[1] for note in clean.notes] == ["2", "2"]
    assert dirty.notes == []


def test_a_clean_cloud_stays_as_it_is() -> None:
    cloud = plain_cloud()
    assert (cleaned(cloud).points == cloud.points).all()
    assert cleaned(cloud).notes == []


def test_minus_zero_is_zero() -> None:
    points = np.array([[0.0, 1, 2], [-0.0, 1, 2], [1, 1, 1], [2, 1, 1], [3, 1, 1]])
    assert len(cleaned(PointCloud(points))) == 4


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "no points"),
        (np.full((9, 3), np.nan), "only 0 distinct points"),
        (np.ones((9, 3)), "only 1 distinct points"),
        (np.eye(3), "only 3 distinct points"),
    ],
)
def test_too_few_distinct_points_are_an_error(points: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cleaned(PointCloud(points, name="scan"))
