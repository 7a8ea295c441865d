"""Every network of registration keeps the contract of the family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from eqcli.data.pair_batches import PyramidSettings, pair_batch
from eqcli.engine.model_file import load_model, save_model
from eqcli.geometry.rotations import random_rotations
from eqcli.graph.pair_batch import PairBatch, joined_pairs
from eqcli.models.pointcloud.base import RegistrationNetwork
from eqcli.models.pointcloud.build import make_registration_network
from eqcli.models.pointcloud.config import POINT_CLOUD_MODELS
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.one_match import OneMatch

EXACT = 1e-9
"""What invariants, unit vectors and rotations may differ by, in float64."""

SMALL = {
    "channels": (8, 12, 16),
    "blocks": (2, 2, 2),
    "fine_level": 0,
    "neighbours": 16,
    "kernels": 3,
    "histogram_radius": 5.0,
    "position_channels": 8,
    "features": 16,
    "vectors": 8,
    "transformer": {"channels": 16, "heads": 2, "blocks": 2},
    "superpoint_matches": 40,
    "confidence": 0.0,
    "match_radius": 1.5,
    "apart_radius": 6.0,
}

names = pytest.mark.parametrize("name", sorted(POINT_CLOUD_MODELS))


def network(name: str, **changes: object) -> RegistrationNetwork:
    torch.manual_seed(0)
    return make_registration_network(
        POINT_CLOUD_MODELS[name][2].model_validate({"name": name, **SMALL, **changes})
    ).eval()


def blob(seed: int, count: int = 2500) -> Tensor:
    """Points of a surface without any symmetry, some 20 voxels across."""
    random = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize(torch.randn(count, 3, dtype=torch.float64, generator=random), dim=1)
    x, y, z = unit.T
    radius = 8 + 1.5 * torch.sin(3 * x + 1) + 1.2 * torch.cos(4 * y + 0.3) + 2 * z + torch.sin(5 * z * x)
    return unit * radius.unsqueeze(1)


def halves() -> tuple[Tensor, Tensor]:
    """Two parts of one surface, sampled apart, in one frame."""
    first, second = blob(1), blob(2)
    return first[first[:, 0] > -3], second[second[:, 0] < 3]


def motion(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    turn = random_rotations(1, generator=random, dtype=torch.float64)[0]
    return turn, 30 * torch.randn(3, dtype=torch.float64, generator=random)


def batch_of(model: RegistrationNetwork, source: Tensor, target: Tensor, truth: Tensor | None = None) -> PairBatch:
    known = None if truth is None else truth.numpy()
    return pair_batch(source.numpy(), target.numpy(), 1.0, PyramidSettings.of(model.config), known)


@names
def test_features_stay_and_vectors_turn(name: str) -> None:
    model, (source, target) = network(name), halves()
    turn, shift = motion(3)
    here = model.matches(batch_of(model, source, target))[0]
    there = model.matches(batch_of(model, source @ turn.T + shift, target))[0]
    assert (there.source.points - (here.source.points @ turn.T + shift)).abs().max() < 1e-7
    assert (there.source.features - here.source.features).abs().max() < EXACT
    assert (there.source.vectors - turn @ here.source.vectors).abs().max() < EXACT
    assert (there.target.features - here.target.features).abs().max() < EXACT
    assert torch.equal(there.index, here.index)
    assert (there.confidence - here.confidence).abs().max() < EXACT
    assert (there.rotations @ turn - here.rotations).abs().max() < 1e-6, "the rotation undoes the source's turn first"


@names
def test_features_tell_points_and_mirror_images_apart(name: str) -> None:
    model, (source, target) = network(name), halves()
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    here = model.matches(batch_of(model, source, target))[0].source
    assert here.features.std(0).min() > 1e-3
    there = model.matches(batch_of(model, source * mirror, target))[0].source
    if len(here.features) == len(there.features):
        assert (here.features.sort(0).values - there.features.sort(0).values).abs().max() > 1e-3


@names
def test_a_hundred_rotations_compose_with_the_motion(name: str) -> None:
    """The registered rotation of a turned source is the one without the turn times its inverse, to 0.01 degrees."""
    model, (source, target) = network(name), halves()
    first = _solved(model, source, target)
    for seed in range(100):
        turn, shift = motion(100 + seed)
        again = _solved(model, source @ turn.T + shift, target)
        left = (again @ turn @ first.T - torch.eye(3, dtype=torch.float64)).norm()
        assert float(torch.rad2deg(left)) < 0.01


def _solved(model: RegistrationNetwork, source: Tensor, target: Tensor) -> Tensor:
    found = model.matches(batch_of(model, source, target))[0]
    matches = Matches.of(
        found.source.points, found.target.points, weights=found.confidence, rotations=found.rotations, index=found.index
    )
    return OneMatch(limit=200).solve(matches, 3.0, torch.Generator()).motion.rotation


@names
def test_one_cloud_twice_gives_its_motion_without_training(name: str) -> None:
    model, source = network(name, superpoint_matches=400), halves()[0]
    turn, shift = motion(5)
    found = model.matches(batch_of(model, source, source @ turn.T + shift))[0]
    same = found.index[:, 0] == found.index[:, 1]
    assert int(same.sum()) > 30
    assert (found.rotations[same] - turn).abs().max() < 1e-6


@names
def test_the_order_of_points_does_not_matter(name: str) -> None:
    model, (source, target) = network(name), halves()
    here = model.matches(batch_of(model, source, target))[0]
    there = model.matches(batch_of(model, source.flip(0), target[torch.randperm(len(target))]))[0]
    assert torch.equal(there.index, here.index)
    assert (there.rotations - here.rotations).abs().max() < EXACT


@names
def test_a_batch_is_its_pairs(name: str) -> None:
    model, (source, target) = network(name), halves()
    small = blob(4, 300) / 2
    truth = torch.eye(4, dtype=torch.float64)
    parts = [
        batch_of(model, source, target, truth),
        batch_of(model, target, small, truth),
        batch_of(model, small, source, truth),
    ]
    alone = [model.matches(part)[0] for part in parts]
    for one, other in zip(alone, model.matches(joined_pairs(parts)), strict=True):
        assert torch.equal(one.index, other.index)
        assert (one.rotations - other.rotations).abs().max() < EXACT
        assert (one.target.features - other.target.features).abs().max() < EXACT
    losses = [model.losses(part) for part in parts]
    for term, value in model.losses(joined_pairs(parts)).items():
        assert torch.allclose(value, torch.stack([loss[term] for loss in losses]).mean())


@names
def test_losses_do_not_change_in_a_motion(name: str) -> None:
    model, (source, target) = network(name), halves()
    turn, shift = motion(6)
    truth = torch.eye(4, dtype=torch.float64)
    moved = truth.clone()
    moved[:3, :3], moved[:3, 3] = turn.T, -turn.T @ shift
    here = model.losses(batch_of(model, source, target, truth))
    there = model.losses(batch_of(model, source @ turn.T + shift, target, moved))
    for term, value in here.items():
        assert abs((there[term] - value).item()) < 1e-7 * max(1.0, abs(value.item())), term


@names
def test_gradients_match_finite_differences(name: str) -> None:
    # The weights of the circle loss are constants by definition: its slope is another thing than its gradient.
    model, (source, target) = network(name, weights={"coarse": 0.0}), halves()
    batch = batch_of(model, source, target, torch.eye(4, dtype=torch.float64))
    model.losses(batch)["loss"].backward()
    random = torch.Generator().manual_seed(7)
    parameters = [p for p in model.parameters() if p.grad is not None]
    way = [torch.randn(p.shape, dtype=p.dtype, generator=random) * p.abs().mean() for p in parameters]
    expected = sum(float((p.grad * w).sum()) for p, w in zip(parameters, way, strict=True) if p.grad is not None)
    step, sides = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            for p, w in zip(parameters, way, strict=True):
                p += sign * step * w
            sides.append(float(model.losses(batch)["loss"]))
            for p, w in zip(parameters, way, strict=True):
                p -= sign * step * w
    assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(expected, rel=0.02)


@names
def test_clouds_smaller_than_a_neighbourhood_pass(name: str) -> None:
    model = network(name)
    few = torch.tensor([[0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 6], [9, 9, 1.0]], dtype=torch.float64)
    found = model.matches(batch_of(model, few, few))[0]
    assert found.rotations.isfinite().all()
    loss = model.losses(batch_of(model, few, few, torch.eye(4, dtype=torch.float64)))["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@names
def test_clouds_that_do_not_overlap_have_a_finite_loss(name: str) -> None:
    model, (source, target) = network(name), halves()
    far = torch.eye(4, dtype=torch.float64)
    far[0, 3] = 1000.0
    batch = batch_of(model, source, target, far)
    assert batch.truth is not None
    assert batch.truth.matches.shape[1] == 0
    model.losses(batch)["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@names
def test_a_saved_network_says_the_same(name: str, tmp_path: Path) -> None:
    model, (source, target) = network(name), halves()
    save_model(tmp_path / "model.safetensors", model, training={}, provenance={})
    again = load_model(tmp_path / "model.safetensors").model
    here, there = (m.matches(batch_of(m, source, target))[0] for m in (model, again))
    assert torch.equal(here.index, there.index)
    assert torch.equal(here.rotations, there.rotations)


@names
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees(name: str) -> None:
    model, (source, target) = network(name), halves()
    batch = batch_of(model, source, target)
    here = model.matches(batch)[0]
    there = model.cuda().matches(batch.to("cuda"))[0]
    assert (there.source.features.cpu() - here.source.features).abs().max() < EXACT
