"""Batches of complexes: reproducible, cut down without a change of what is left, and judged poses in their place."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.data.batches import BatchPlan, BatchStream, Budget
from eqcli.data.complex_batches import (
    FEWEST,
    UNKNOWN,
    Augmentation,
    ComplexLoader,
    Judging,
    complex_batch,
    cropped,
    judged,
)
from tests.data.docking_case import complexes

EVERYTHING = Augmentation(crop=0.6, radius=9.0, jitter=2.0, noise=0.3, hidden=0.2)
JUDGING = Judging(decoys=3, near=2.0, reach=6.0)


def tensors(value: Any, name: str = "") -> dict[str, Tensor]:
    found = {}
    for key, field in vars(value).items():
        if isinstance(field, Tensor):
            found[f"{name}{key}"] = field
        elif hasattr(field, "__dict__"):
            found |= tensors(field, f"{name}{key}.")
    return found


def same(a: Any, b: Any) -> bool:
    first, second = tensors(a), tensors(b)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def loader(indices: list[list[int]], augmentation: Augmentation | None = EVERYTHING, seed: int = 0) -> ComplexLoader:
    return ComplexLoader(complexes(), indices, torch.float64, seed=seed, augmentation=augmentation, judging=JUDGING)


def test_batches_depend_on_seed_and_members_alone() -> None:
    """Wherever a run is resumed, and in whatever order batches come, a batch is the same."""
    indices = [[0, 5, 2], [1, 3], [4, 6, 7]]
    first, again = list(loader(indices)), list(loader(indices))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    later = list(loader(indices[2:]))
    assert same(first[2], later[0])
    assert not same(first[0], next(iter(loader(indices, seed=1))))
    assert [batch.rows.tolist() for batch in first if batch.rows is not None] == indices


def test_epochs_differ_though_batches_return() -> None:
    """All complexes make one batch, in the same order each time; wherever a run goes on, an epoch is the same."""
    plan = BatchPlan(np.ones(8, dtype=np.int64), Budget("structures", 8), seed=0, lengths=np.arange(8))
    whole = ComplexLoader(complexes(), BatchStream(plan, 4), torch.float64, augmentation=EVERYTHING, judging=JUDGING)
    first = list(whole)
    assert [batch.rows.tolist() for batch in first if batch.rows is not None] == [list(range(8))] * 4
    for one, other in pairwise(first):
        assert not same(one.receptor, other.receptor)
        assert not same(one.judged, other.judged)
    stream = BatchStream(plan, 4, start=(2, 0))
    later = list(ComplexLoader(complexes(), stream, torch.float64, augmentation=EVERYTHING, judging=JUDGING))
    assert all(same(a, b) for a, b in zip(first[2:], later, strict=True))


def test_without_augmentation_complexes_are_as_they_are() -> None:
    made = complexes()
    (batch,) = loader([[0, 5, 2]], None)
    other = complex_batch(made, [0, 5, 2], np.random.default_rng(99))
    for name in ("receptor", "ligand", "rigid", "truth"):
        assert same(getattr(batch, name), getattr(other, name))
    assert batch.truth is not None
    shapes = batch.ligand.positions.split(batch.ligand.counts.tolist())
    poses = batch.truth.poses.split(batch.ligand.counts.tolist())
    places = batch.receptor.positions.split(batch.receptor.counts.tolist())
    for row, shape, pose, place in zip([0, 5, 2], shapes, poses, places, strict=True):
        entry = made.ligands[row]
        assert np.array_equal(shape.numpy(), entry.conformers[0])
        assert np.array_equal(pose.numpy(), entry.pose)
        assert torch.equal(place, made.receptors[entry.receptor].graph.positions)
    # The points of the pocket belong to the ligand nodes that are named.
    distance = (batch.truth.contacts - batch.truth.poses[batch.truth.contact_atoms]).norm(dim=1)
    assert distance.max() <= 2.0 + 1e-9
    assert int(batch.truth.contact_counts.sum()) == len(batch.truth.contacts)


def test_rigid_lengths_are_those_of_the_conformer_that_is_shown() -> None:
    seen = set()
    for seed in range(6):
        (batch,) = loader([[3, 4]], seed=seed)
        first, second = batch.rigid.pairs
        lengths = (batch.ligand.positions[first] - batch.ligand.positions[second]).norm(dim=1)
        assert torch.allclose(lengths, batch.rigid.lengths, atol=1e-12)
        assert torch.equal(batch.ligand.batch[first], batch.ligand.batch[second])
        seen.add(float(batch.ligand.positions[0, 0]))
    assert len(seen) > 1, "always the same conformer"


def test_a_crop_keeps_what_is_left() -> None:
    graph = complexes().receptors[0].graph
    centre = graph.positions[7]
    small = cropped(graph, centre, 12.0)
    keep = (graph.positions - centre).norm(dim=1) <= 12.0
    assert FEWEST <= int(keep.sum()) < len(graph.positions)
    rows = keep.nonzero().squeeze(1)
    assert torch.equal(small.positions, graph.positions[keep])
    assert torch.equal(small.codes, graph.codes[keep])
    assert torch.equal(small.scalars, graph.scalars[keep])
    assert small.counts.tolist() == [int(keep.sum())]
    both = {(int(s), int(r)): f for (s, r), f in zip(graph.edges.T, graph.edge_features, strict=True)}
    kept = {(int(rows[s]), int(rows[r])) for s, r in small.edges.T}
    assert kept == {(s, r) for s, r in both if keep[s] and keep[r]}
    for (s, r), features in zip(small.edges.T, small.edge_features, strict=True):
        assert torch.equal(features, both[int(rows[s]), int(rows[r])])
    assert (small.edges[1].diff() >= 0).all()


@pytest.mark.parametrize("radius", [0.1, 1000.0])
def test_a_crop_leaves_enough(radius: float) -> None:
    graph = complexes().receptors[0].graph
    small = cropped(graph, torch.tensor([200.0, 0.0, 0.0], dtype=torch.float64), radius)
    assert len(small.positions) == (FEWEST if radius < 1 else len(graph.positions))


def test_augmentation_does_what_it_says() -> None:
    made = complexes()
    whole = made.receptors[0].graph

    def shown(**changes: float) -> Any:
        return complex_batch(made, [1], np.random.default_rng(3), Augmentation(**changes)).receptor

    assert same(shown(), whole)
    noisy = shown(noise=0.5)
    assert 0.2 < float((noisy.positions - whole.positions).std()) < 0.8
    assert torch.equal(noisy.edge_features, whole.edge_features)
    hidden = shown(hidden=0.5)
    changed = hidden.codes != whole.codes
    assert (hidden.codes[changed] == UNKNOWN).all()
    assert 5 < int(changed.sum()) < 37
    crop = shown(crop=1.0, radius=8.0, jitter=0.0)
    centre = torch.from_numpy(made.ligands[1].pose.mean(0))
    assert (crop.positions - centre).norm(dim=1).max() <= (whole.positions - centre).norm(dim=1).sort().values[FEWEST]
    assert same(whole, made.receptors[0].graph)
    shares = [len(shown_.receptor.codes) < 42 for shown_ in loader([[k, 0] for k in range(1, 8)] * 1)]
    assert any(shares)


def test_judged_poses_stand_beside_the_atoms_near_them() -> None:
    made = complexes()
    entry, place = made.ligands[1], made.receptors[0]
    poses = np.stack([entry.pose, entry.pose + 1.0, entry.pose + 300.0])
    found = judged(entry.codes, entry.bonds, place, poses, 5.0)
    n = len(entry.pose)
    assert found.counts.tolist() == [n] * 3
    assert found.near is None
    flat = poses.reshape(-1, 3)
    lengths = np.linalg.norm(flat[:, None] - place.positions, axis=-1)
    assert found.edges.shape[1] == (lengths <= 5.0).sum()
    assert (found.edges[1].diff() >= 0).all()
    assert found.edges[1].max() < 2 * n
    used = np.flatnonzero((lengths <= 5.0).any(0))
    assert np.array_equal(found.receptor_codes.numpy(), place.codes[used])
    expected = lengths[found.edges[1].numpy(), used[found.edges[0].numpy()]]
    assert np.allclose(found.lengths.numpy(), expected)
    assert found.bonds.shape == (2, 3 * 2 * len(entry.bonds))
    assert (found.bonds // n).diff(dim=0).abs().max() == 0
    assert (found.bonds[1].diff() >= 0).all()


def test_judged_poses_of_a_batch_are_those_of_its_members() -> None:
    (batch,) = loader([[1, 6, 3]], None)
    asked = batch.judged
    assert asked is not None
    assert asked.near is not None
    assert asked.near.tolist() == [True, False, False, False] * 3
    sizes = [len(complexes().ligands[row].pose) for row in (1, 6, 3) for _ in range(4)]
    assert asked.counts.tolist() == sizes
    assert len(asked.ligand_codes) == sum(sizes)
    pose = torch.arange(12).repeat_interleave(asked.counts)
    assert (pose[asked.bonds[0]] == pose[asked.bonds[1]]).all()
    # Receptor atoms of one member are never near those of another.
    member = {}
    for other, atom in asked.edges.T.tolist():
        assert member.setdefault(other, int(pose[atom]) // 4) == int(pose[atom]) // 4


def test_a_loader_may_be_iterated_again_and_in_single_precision() -> None:
    made = ComplexLoader(complexes(), [[0, 1]], torch.float32, augmentation=EVERYTHING)
    first, again = next(iter(made)), next(iter(made))
    assert same(first, again)
    assert first.receptor.positions.dtype == torch.float32
    assert first.judged is None
