"""Solids and shapes: closed surfaces, evenly sampled, with outward normals and the groups that they claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from eqcli.data.pair_bodies import body_shape, random_limbs
from eqcli.data.pair_shapes import blob_shape, random_turned, symmetric_shape, union_shape
from eqcli.data.pair_solids import blob, box, cylinder, sampled, superquadric, torus

SOLIDS = {
    "box": (box((1.0, 2.0, 3.0)), 22.0),
    "ball": (superquadric(1.0, 1.0), 4 * np.pi),
    "cylinder": (cylinder(), 6 * np.pi),
    "cone": (cylinder(0.0), np.pi * (1 + np.sqrt(5))),
    "torus": (torus(0.3), 4 * np.pi**2 * 0.3),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_area_normals_and_inside(name: str) -> None:
    solid, area = SOLIDS[name]
    points, normals, found = sampled([solid], 4000, np.random.default_rng(0))
    assert found == pytest.approx(area, rel=0.01)
    assert np.linalg.norm(normals, axis=-1) == pytest.approx(1.0)
    assert solid.inside is not None
    assert not solid.inside(points + 0.05 * normals).any()
    assert solid.inside(points - 0.05 * normals).mean() > 0.9
    assert not solid.inside(points).any()


@pytest.mark.parametrize("name", ["box", "ball", "torus"])
def test_volume_by_divergence(name: str) -> None:
    solid, _ = SOLIDS[name]
    points, normals, area = sampled([solid], 40000, np.random.default_rng(0))
    volume = area * (points * normals).sum(-1).mean() / 3
    expected = {"box": 6.0, "ball": 4 / 3 * np.pi, "torus": 2 * np.pi**2 * 0.09}[name]
    assert volume == pytest.approx(expected, rel=0.03)


def test_union_has_no_inner_surface() -> None:
    one = box()
    other = one.moved(np.eye(3), np.array([1.0, 0.5, 0.2]))
    points, _, area = sampled([one, other], 20000, np.random.default_rng(0))
    for solid in (one, other):
        assert solid.inside is not None
        assert not solid.inside(points).any()
    overlap = np.array([1.0, 1.5, 1.8])
    a, b, c = overlap
    assert area == pytest.approx(48 - 2 * (a * b + b * c + c * a), rel=0.02)


def test_moved_solid_keeps_inside() -> None:
    rng = np.random.default_rng(0)
    solid = blob(rng)
    matrix = np.linalg.qr(rng.normal(size=(3, 3)))[0] * 1.7
    matrix *= np.sign(np.linalg.det(matrix))
    shift = rng.normal(size=3)
    points = rng.normal(size=(500, 3))
    assert solid.inside is not None
    there = solid.moved(matrix, shift).inside
    assert there is not None
    assert (there(points @ matrix.T + shift) == solid.inside(points)).all()


@pytest.mark.parametrize("maker", [union_shape, blob_shape, symmetric_shape, body_shape])
def test_shapes_are_repeated_by_their_seed(maker) -> None:
    first, again, other = (maker(np.random.default_rng(seed), 3000) for seed in (3, 3, 4))
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.points[:100], other.points[:100])
    assert np.isfinite(first.points).all()
    assert np.linalg.norm(first.normals, axis=-1) == pytest.approx(1.0)


@pytest.mark.parametrize("maker", [union_shape, blob_shape, body_shape])
def test_normals_point_outward(maker) -> None:
    for seed in range(3):
        shape = maker(np.random.default_rng(seed), 5000)
        # The volume by the divergence theorem is positive whatever the origin.
        for origin in np.random.default_rng(0).normal(size=(3, 3)):
            assert ((shape.points - origin) * shape.normals).sum(-1).mean() > 0


@pytest.mark.parametrize("seed", range(12))
def test_symmetric_shapes_have_their_group(seed: int) -> None:
    shape = symmetric_shape(np.random.default_rng(seed), 12000)
    group = shape.symmetries
    assert group is not None
    assert len(group) > 1
    assert np.allclose(group[0], np.eye(3))
    assert np.linalg.det(group) == pytest.approx(1.0)
    spacing = np.sqrt(shape.area / len(shape.points))
    tree = cKDTree(shape.points)
    for turn in group[:: max(1, len(group) // 8)]:
        distance, _ = tree.query(shape.points @ turn.T)
        assert np.quantile(distance, 0.99) < 3 * spacing


def test_symmetric_group_is_closed() -> None:
    for seed in range(8):
        group = symmetric_shape(np.random.default_rng(seed), 100).symmetries
        assert group is not None
        product = group[1] @ group
        nearest = np.abs(product[:, None] - group[None]).max((-1, -2)).min(1)
        assert nearest.max() < 1e-12


def test_bodies_lie_on_their_blend() -> None:
    rng = np.random.default_rng(0)
    limbs = random_limbs(rng)
    points = rng.normal(size=(200, 3))
    value, gradient = limbs.field(points, 0.05)
    step = 1e-6
    for axis in range(3):
        forward = limbs.field(points + step * np.eye(3)[axis], 0.05)[0]
        backward = limbs.field(points - step * np.eye(3)[axis], 0.05)[0]
        difference = (forward - backward) / (2 * step)
        # Tapering adds a little that the gradient leaves out.
        assert np.abs(difference - gradient[:, axis]).mean() < 0.2
    assert np.isfinite(value).all()


def test_turned_bodies_are_closed() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        points, normals, area = sampled([random_turned(rng)], 20000, rng)
        assert np.abs(normals.mean(0)).max() < 0.02  # Zero over a closed surface.
        assert area > 0
        assert (points * normals).sum(-1).mean() > 0
