"""Normals and local frames against their definition, and how they turn."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points import orientation
from eqcli.graph.points.normals import local_frames, normals
from eqcli.graph.points.orientation import away_from_centre, propagated
from tests.graph.points.clouds import blob, bumpy, permutation, rotation


def by_definition(points, k):
    """Axis of least variance of the k nearest, one point after the other."""
    vectors, values = [], []
    for p in points:
        near = points[(points - p).norm(dim=1).argsort()[:k]]
        _, s, axes = torch.linalg.svd(near - near.mean(0))
        vectors.append(axes[2])
        values.append(s**2 / k)
    return torch.stack(vectors), torch.stack(values)


def test_vectors_and_variances_are_those_of_the_neighbours():
    x = bumpy(300)[0]
    found = normals(x, k=12)
    vectors, values = by_definition(x, 12)
    assert torch.allclose((found.vectors * vectors).sum(1).abs(), torch.ones(300, dtype=x.dtype), atol=1e-9)
    assert torch.allclose(found.eigenvalues, values, atol=1e-12)
    assert torch.allclose(found.curvature, values[:, 2] / values.sum(1), atol=1e-10)


def test_a_radius_takes_the_points_within_it():
    x = bumpy(300)[0]
    found = normals(x, radius=0.3)
    for i in (0, 17, 170):
        near = x[(x - x[i]).norm(dim=1) <= 0.3]
        axis = torch.linalg.svd(near - near.mean(0))[2][2]
        assert abs(float(axis @ found.vectors[i])) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("signs", ["local", "propagated"])
def test_normals_turn_with_the_cloud_sign_included(signs):
    x, r, t = bumpy(800)[0], rotation(), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    one = normals(x, orientation=signs)
    other = normals(x @ r.T + t, orientation=signs)
    assert torch.allclose(one.vectors @ r.T, other.vectors, atol=1e-8)
    assert torch.allclose(one.eigenvalues, other.eigenvalues, atol=1e-12)


@pytest.mark.parametrize("signs", ["local", "propagated"])
def test_order_does_not_matter(signs):
    x, order = bumpy(500)[0], permutation(500)
    one, other = normals(x, orientation=signs), normals(x[order], orientation=signs)
    assert torch.allclose(one.vectors[order], other.vectors, atol=1e-9)


def test_normals_of_a_closed_surface_point_outwards():
    x, truth = bumpy(4000)
    for signs, least in (("local", 0.93), ("propagated", 0.999)):
        right = ((normals(x, orientation=signs).vectors * truth).sum(1) > 0.9).double().mean()
        assert right > least, signs


def test_the_viewpoint_decides_where_it_is_given():
    x = bumpy(1000)[0]
    inside = normals(x, viewpoint=torch.zeros(3, dtype=x.dtype)).vectors
    assert ((inside * x).sum(1) <= 0).all()


def test_signs_are_only_signs():
    x = bumpy(200)[0]
    plain = normals(x, orientation="none").vectors
    for turned in (away_from_centre(x, plain, 1.0), propagated(x, plain)):
        assert torch.equal(turned.abs(), plain.abs())


def test_signs_of_large_clouds_come_from_voxels(monkeypatch):
    x, truth = bumpy(4000)
    monkeypatch.setattr(orientation, "DIRECT", 100)
    turned = away_from_centre(x, -truth, 0.6)
    assert ((turned * away_from_centre(x, truth, 0.6)).sum(1) > 0.99).all()
    assert ((turned * truth).sum(1) > 0).double().mean() > 0.93
    r = rotation()
    assert torch.allclose(away_from_centre(x @ r.T, -truth @ r.T, 0.6), turned @ r.T, atol=1e-9)


def test_shapes_are_told_apart():
    g = torch.Generator().manual_seed(0)
    plane = torch.rand(400, 3, generator=g, dtype=torch.float64) * torch.tensor([1.0, 1.0, 0.0])
    flat = normals(plane)
    assert flat.curvature.max() < 1e-12
    assert torch.allclose(flat.vectors[:, 2].abs(), torch.ones(400, dtype=torch.float64))
    assert flat.planarity.median() > 0.4
    ball = normals(torch.randn(4000, 3, generator=g, dtype=torch.float64), k=100)
    assert ball.curvature.median() > 0.15


def test_points_that_span_no_plane_have_no_normal():
    x = torch.cat([bumpy(200)[0], torch.tensor([[50.0, 0, 0], [0, 60.0, 0]], dtype=torch.float64)])
    vectors = normals(x, radius=0.6).vectors
    assert (vectors[-2:] == 0).all()
    assert torch.allclose(vectors[:200].norm(dim=1), torch.ones(200, dtype=x.dtype))


@pytest.mark.parametrize(
    "points",
    [torch.zeros(1, 3), torch.ones(30, 3), torch.arange(30.0).unsqueeze(1) * torch.tensor([[1.0, 2.0, 3.0]])],
    ids=["one point", "duplicates", "collinear"],
)
def test_clouds_without_normals_are_an_error(points):
    with pytest.raises(InputError, match="no point has a normal"):
        normals(points)


def test_no_points_is_an_error():
    for call in (lambda: normals(torch.zeros(0, 3)), lambda: local_frames(torch.zeros(0, 3), 1.0)):
        with pytest.raises(InputError, match="no points"):
            call()


def test_few_points_take_what_there_is():
    x = blob(4)
    assert torch.allclose(normals(x, k=50).eigenvalues[0], normals(x, k=4).eigenvalues[0])


def frame_by_definition(points, i, radius):
    offset = points - points[i]
    offset = offset[offset.norm(dim=1) <= radius]
    weight = (radius - offset.norm(dim=1)).unsqueeze(1)
    axes = torch.linalg.eigh((weight * offset).T @ offset).eigenvectors.flip(1)
    tail = (weight * (offset @ axes) ** 3).sum(0)
    return axes, tail


def test_frames_are_the_axes_of_the_weighted_covariance():
    x = bumpy(500)[0]
    frames = local_frames(x, 0.6)
    for i in (0, 99, 499):
        axes, tail = frame_by_definition(x, i, 0.6)
        agreement = frames[i].T @ axes
        assert torch.allclose(agreement.abs(), torch.eye(3, dtype=x.dtype), atol=1e-8)
        # At least two of the three axes point to their tail.
        assert (torch.diagonal(agreement).sign() == tail.sign()).sum() >= 2
    assert torch.allclose(torch.linalg.det(frames), torch.ones(500, dtype=x.dtype))


def test_frames_turn_with_the_cloud():
    x, r = bumpy(500)[0], rotation()
    one, other = local_frames(x, 0.5), local_frames(x @ r.T - 4, 0.5)
    assert torch.allclose(r @ one, other, atol=1e-7)


def test_frames_of_lonely_points_are_still_bases():
    frames = local_frames(torch.tensor([[0.0, 0, 0], [9.0, 0, 0]]), 1.0)
    assert torch.allclose(frames.mT @ frames, torch.eye(3).expand(2, 3, 3), atol=1e-6)
    assert (torch.linalg.det(frames) > 0).all()
