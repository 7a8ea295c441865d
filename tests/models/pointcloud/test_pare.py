"""The pieces of PARE-Net against slow ones that follow the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.data.pair_batches import PyramidSettings, cloud_pyramid, pair_truth, patch_overlaps, together
from eqcli.geometry.motions import rotation_error
from eqcli.geometry.rotations import random_rotations
from eqcli.models.pointcloud.pare_convolution import PareConvolution, local_vectors
from eqcli.models.pointcloud.pare_encoder import shape_vectors
from eqcli.models.pointcloud.pare_losses import (
    FAR,
    NEAR,
    SHARPNESS,
    circle_loss,
    hypothesis_loss,
    patch_loss,
    points_loss,
    rotation_loss,
    unit_norm,
)
from eqcli.models.pointcloud.pare_matching import (
    best_pairs,
    cloud_matches,
    match_rotations,
    patch_log_likelihood,
    patches,
    point_matches,
    superpoint_scores,
)
from eqcli.nn.vector_neurons import unit


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_convolution_is_its_definition() -> None:
    torch.manual_seed(1)
    layer = PareConvolution(4, 5, kernels=3, position_channels=6).double()
    points, vectors, neighbours = drawn(9, 3), drawn(9, 3, 4, seed=1), torch.randint(9, (6, 4))
    queries, centres = drawn(6, 3, seed=2), drawn(6, 3, 4, seed=3)
    local = local_vectors(queries, points, neighbours, 2.0)
    found = layer(vectors, centres, local, neighbours)
    near, own = layer.neighbour.weight.view(3, 5, 4), layer.centre.weight.view(3, 5, 4)
    for q in range(6):
        offsets = torch.stack([(points[j] - queries[q]) / 2.0 for j in neighbours[q]])
        mean, terms = offsets.mean(0), []
        for j, u in zip(neighbours[q], offsets, strict=True):
            at = torch.stack([u, mean, torch.linalg.cross(u, mean)], dim=1)
            scores = layer.scores(at[None, None])[0, 0]
            mixed = sum(s * (vectors[j] @ n.T - centres[q] @ o.T) for s, n, o in zip(scores, near, own, strict=True))
            terms.append(unit(mixed + at @ layer.offset.weight.T, dim=0))
        assert torch.allclose(found[q], torch.stack(terms).mean(0), atol=1e-9)


def test_kernel_scores_sum_to_one_and_ignore_turns() -> None:
    layer = PareConvolution(2, 2, kernels=4, position_channels=6).double().scores
    local = drawn(5, 7, 3, 3)
    turn = random_rotations(1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)[0]
    assert torch.allclose(layer(local).sum(-1), torch.ones(5, 7, dtype=torch.float64))
    assert torch.allclose(layer(turn @ local), layer(local), atol=1e-10)
    assert layer(local).std() > 1e-3


def test_shape_vectors_point_along_the_normal_of_a_bent_surface() -> None:
    random = np.random.default_rng(0)
    sphere = random.normal(size=(20000, 3))
    sphere *= 12 / np.linalg.norm(sphere, axis=1, keepdims=True)
    sphere = sphere[sphere[:, 0] + 0.3 * sphere[:, 1] > 3]
    cloud = cloud_pyramid(sphere, 1.0, PyramidSettings(3, 0, 24, 1.5))
    inside = cloud.levels[0].points[:, 0] > 6
    inward = -torch.nn.functional.normalize(cloud.levels[0].points, dim=1)
    along = (shape_vectors(cloud, 0)[..., 0] * inward).sum(1)[inside]
    assert along.median() > 0.7


def test_superpoint_scores_are_normalised_on_both_sides() -> None:
    first, second = (torch.nn.functional.normalize(drawn(n, 5, seed=n), dim=1) for n in (4, 6))
    scores = superpoint_scores(first, second)
    alike = torch.exp(-(first.unsqueeze(1) - second.unsqueeze(0)).square().sum(-1))
    assert torch.allclose(scores, alike / alike.sum(1, keepdim=True) * alike / alike.sum(0, keepdim=True))
    pairs = best_pairs(scores, 5)
    assert torch.equal(scores[pairs[:, 0], pairs[:, 1]], scores.flatten().sort(descending=True).values[:5])
    assert len(best_pairs(scores, 1000)) == 24, "more than there are"


def test_patches_keep_the_nearest_points() -> None:
    points, centres = drawn(50, 3), drawn(4, 3, seed=1)
    owner = torch.cdist(points, centres).argmin(1)
    index, real = patches(points, centres, owner, 6)
    for c in range(4):
        own = (owner == c).nonzero()[:, 0]
        expected = own[(points[own] - centres[c]).norm(dim=1).argsort()[:6]]
        assert torch.equal(index[c][real[c]], expected)


def test_likelihoods_ignore_what_is_no_point() -> None:
    first, second = drawn(1, 3, 4), drawn(1, 5, 4, seed=1)
    open1, open2 = drawn(1, 3, seed=2), drawn(1, 5, seed=3)
    real1, real2 = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[True, True, True, False, False]])
    found = patch_log_likelihood(first, second, real1, real2, open1, open2)[0]
    logits = first[0] @ second[0, :3].T
    expected = logits.softmax(0) * logits.softmax(1) * open1[0, :, None].sigmoid() * open2[0, None, :3].sigmoid()
    assert torch.allclose(found[:, :3].exp(), expected)
    assert (found[:, 3:].exp() == 0).all()


def test_matches_are_mutual_unique_and_sorted() -> None:
    likelihood = torch.rand(6, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 2
    first, second = torch.randint(12, (6, 5)), torch.randint(12, (6, 7))
    index, value = point_matches(likelihood, first, second, 2, 0.1)
    best: dict[tuple[int, int], float] = {}
    for s in range(6):
        for i in range(5):
            for j in range(7):
                p = float(likelihood[s, i, j])
                rows = p >= float(likelihood[s, i].sort(descending=True).values[1])
                columns = p >= float(likelihood[s, :, j].sort(descending=True).values[1])
                if rows and columns and p > 0.1:
                    key = int(first[s, i]), int(second[s, j])
                    best[key] = max(best.get(key, 0.0), p)
    assert {(int(a), int(b)): float(v) for (a, b), v in zip(index, value, strict=True)} == best
    assert (value.diff() <= 0).all()


def test_each_match_has_the_rotation_of_its_vectors() -> None:
    vectors = drawn(8, 3, 5)
    turns = random_rotations(8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(match_rotations(vectors, turns @ vectors), turns, atol=1e-10)
    mirrored = match_rotations(vectors, -vectors)
    assert torch.allclose(torch.linalg.det(mirrored), torch.ones(8, dtype=torch.float64)), "never a reflection"


def test_the_circle_loss_is_its_definition() -> None:
    first, second = (torch.nn.functional.normalize(drawn(n, 5, seed=n), dim=1) for n in (4, 6))
    overlaps = torch.zeros(4, 6, dtype=torch.float64)
    overlaps[0, 1], overlaps[0, 2], overlaps[3, 5], overlaps[2, 2] = 0.5, 0.3, 1.0, 0.05
    distance = (first.unsqueeze(1) - second.unsqueeze(0)).norm(dim=2)

    def side(d: Tensor, o: Tensor) -> float:
        terms = []
        for row, share in zip(d, o, strict=True):
            near = [
                math.exp(SHARPNESS * max(x - NEAR, 0) * s**0.5 * (x - NEAR)) for x, s in _pairs(row, share) if s > 0.1
            ]
            far = [math.exp(SHARPNESS * max(FAR - x, 0) * (FAR - x)) for x, s in _pairs(row, share) if s == 0]
            if near and far:
                terms.append(math.log(1 + sum(near) * sum(far)) / SHARPNESS)
        return sum(terms) / len(terms)

    expected = (side(distance, overlaps) + side(distance.T, overlaps.T)) / 2
    assert float(circle_loss(first, second, overlaps)) == pytest.approx(expected, rel=1e-5)


def _pairs(row: Tensor, share: Tensor) -> list[tuple[float, float]]:
    return list(zip(row.tolist(), share.tolist(), strict=True))


def test_losses_fall_where_features_agree() -> None:
    overlaps = torch.eye(5, dtype=torch.float64)
    features = torch.eye(5, 8, dtype=torch.float64)
    assert circle_loss(features, features, overlaps) < circle_loss(features, features.flip(0), overlaps)
    distance = 3 * (1 - torch.eye(5, dtype=torch.float64))[None]
    real = torch.ones(1, 5, dtype=torch.bool)
    open_ = torch.full((1, 5), 3.0, dtype=torch.float64)
    right = patch_loss((9 * features[None], 9 * features[None]), (open_, open_), (real, real), distance, 1.0)
    wrong = patch_loss((9 * features[None], 9 * features.flip(0)[None]), (open_, open_), (real, real), distance, 1.0)
    assert right < 0.2 < wrong
    turn = random_rotations(1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[0]
    vectors, other = unit_norm(drawn(6, 3, 8)), unit_norm(drawn(6, 3, 8, seed=1))
    same = torch.arange(6).expand(2, 6)
    turned = rotation_loss(vectors, turn @ vectors, turn, same, same[:, :0])
    assert float(turned) < 1e-6
    assert rotation_loss(vectors, other, turn, same, same[:, :0]) > 0.5


def test_near_misses_are_no_mistakes() -> None:
    """Points that lie nearly as near as the match are left out of what it competes with."""
    features = torch.ones(1, 2, 4, dtype=torch.float64)
    real, open_ = torch.ones(1, 2, dtype=torch.bool), torch.full((1, 2), 50.0, dtype=torch.float64)
    distance = torch.tensor([[[0.1, 0.5], [5.0, 0.2]]], dtype=torch.float64)
    loss = patch_loss((features, features), (open_, open_), (real, real), distance, 1.0)
    # The first row has no rival, the second one has: of the four softmaxes, two halve.
    assert float(loss) == pytest.approx(math.log(2), abs=1e-6)


def test_overlaps_of_patches_are_shares_of_their_points() -> None:
    random = np.random.default_rng(0)
    first, second = random.uniform(0, 6, (60, 3)), random.uniform(0, 6, (50, 3))
    owner1, owner2 = random.integers(0, 4, 60), random.integers(0, 5, 50)
    owner1[:4], owner2[:5] = range(4), range(5)
    pairs = together(first, second, 1.5)
    near = np.linalg.norm(first[:, None] - second[None], axis=2) < 1.5
    assert {tuple(p) for p in pairs.T} == {tuple(p) for p in np.argwhere(near)}
    superpoints, overlaps = patch_overlaps(pairs, owner1, owner2)
    found = {(int(a), int(b)): float(o) for (a, b), o in zip(superpoints.T, overlaps, strict=True)}
    for a in range(4):
        for b in range(5):
            block = near[owner1 == a][:, owner2 == b]
            expected = (block.any(1).mean() + block.any(0).mean()) / 2
            assert found.get((a, b), 0.0) == pytest.approx(expected)


def test_the_truth_lies_in_the_pose_that_it_states() -> None:
    random = np.random.default_rng(1)
    surface = random.normal(size=(3000, 3))
    surface = 8 * surface / np.linalg.norm(surface, axis=1, keepdims=True) * [1.0, 0.8, 0.6]
    turn = random_rotations(1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[0].numpy()
    shift = np.array([3.0, -4.0, 50.0])
    settings = PyramidSettings(2, 0, 8, 1.5)
    source = cloud_pyramid(surface, 1.0, settings)
    target = cloud_pyramid(surface @ turn.T + shift, 1.0, settings)
    truth = pair_truth(source, target, turn, shift, 1e-6)
    assert truth.matches.shape[1] == len(source.fine.points)
    assert torch.allclose(truth.overlaps, torch.ones_like(truth.overlaps))


def test_matches_of_whole_clouds_are_among_the_best_of_both_points() -> None:
    first, second, prior = drawn(7, 4), drawn(9, 4, seed=1), torch.rand(7, 9, dtype=torch.float64)
    index, value = cloud_matches(first, second, 2, prior)
    logits = first @ second.T
    likelihood = logits.softmax(1) * logits.softmax(0) * prior.sqrt()
    expected = {
        (i, j): float(likelihood[i, j])
        for i in range(7)
        for j in range(9)
        if likelihood[i, j] >= likelihood[i].sort(descending=True).values[1]
        and likelihood[i, j] >= likelihood[:, j].sort(descending=True).values[1]
    }
    assert {(int(i), int(j)): pytest.approx(float(v)) for (i, j), v in zip(index, value, strict=True)} == expected
    assert (value.diff() <= 0).all()
    assert len(cloud_matches(first, second, 1)[0]) <= 7


def test_features_compete_over_whole_clouds() -> None:
    features = 9 * torch.eye(6, 8, dtype=torch.float64)
    points, matches = 20 * drawn(6, 3), torch.arange(6).expand(2, 6)
    assert points_loss(features, features, points, matches, 8.0) < 0.01
    assert points_loss(features, features.flip(0), points, matches, 8.0) > 2.0
    assert points_loss(features, features.flip(0), points, matches, 1e6) < 1e-6, "no rivals, no mistakes"
    assert points_loss(features, features, points, matches[:, :1], 8.0) == 0


def test_hypotheses_are_judged_by_half_their_angle() -> None:
    vectors = drawn(5, 3, 6)
    turns = random_rotations(5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    truth = random_rotations(1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[0]
    same = torch.arange(5).expand(2, 5)
    loss = hypothesis_loss(vectors, turns @ vectors, truth, same)
    half = torch.deg2rad(rotation_error(turns, truth.expand(5, 3, 3))) / 2
    assert float(loss) == pytest.approx(float(half.sin().mean()), abs=1e-4)
    assert float(hypothesis_loss(vectors, truth @ vectors, truth, same)) < 2e-3
