"""The network that judges poses: what it may depend on, and how smoothly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eqcli.data.complex_batches import judged
from eqcli.data.complex_set import ReceptorEntry
from eqcli.data.ligand_features import LIGAND_CODES, RECEPTOR_CODES
from eqcli.graph.residue_graph import residue_graph
from eqcli.models.docking.confidence import PoseJudge
from eqcli.models.docking.configs.equibind import ConfidenceConfig
from tests.contracts.docking_complexes import chain, zigzag
from tests.rotations import random_rotation

CONFIG = ConfidenceConfig(channels=12, num_layers=2, reach=6.0, radial=8)


def the_judge(size: float = 3.0) -> PoseJudge:
    """Fresh, with weights this many times as large, so that what it says differs noticeably between poses."""
    torch.manual_seed(0)
    judge = PoseJudge(CONFIG, ligand_codes=LIGAND_CODES, receptor_codes=RECEPTOR_CODES).double().eval()
    with torch.no_grad():
        for parameter in judge.parameters():
            parameter.mul_(size if parameter.dim() == 2 else 1.0)
    return judge


def receptor(seed: int = 0, atoms: int = 60) -> ReceptorEntry:
    random = np.random.default_rng(seed)
    positions = random.uniform(-9, 9, (atoms, 3))
    codes = np.stack([random.integers(0, size, atoms) for size in RECEPTOR_CODES], axis=1)
    return ReceptorEntry("r", "r", residue_graph(*chain(5, 0)), positions, codes)


def ligand(atoms: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes, positions, bonds = (x.numpy() for x in zigzag(atoms, 3))
    return codes, positions - positions.mean(0), bonds


def logits(judge: PoseJudge, place: ReceptorEntry, poses: np.ndarray) -> torch.Tensor:
    codes, _, bonds = ligand(poses.shape[1])
    with torch.no_grad():
        return judge(judged(codes, bonds, place, poses, CONFIG.reach))


def several(count: int = 4) -> np.ndarray:
    random = np.random.default_rng(1)
    positions = ligand()[1]
    turns = [random_rotation(k).numpy() for k in range(count)]
    return np.stack([positions @ turn.T + random.normal(scale=2.0, size=3) for turn in turns])


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_joint_motion_changes_nothing(mirror: float) -> None:
    judge, place, poses = the_judge(), receptor(), several()
    here = logits(judge, place, poses)
    turn = mirror * random_rotation(9).numpy()
    there = logits(judge, replace(place, positions=place.positions @ turn.T + 80.0), poses @ turn.T + 80.0)
    assert torch.allclose(here, there, atol=1e-10)
    assert here.std() > 1e-3


def test_order_of_atoms_and_of_poses() -> None:
    judge, place, poses = the_judge(), receptor(), several()
    here = logits(judge, place, poses)
    assert torch.allclose(logits(judge, place, poses[::-1].copy()), here.flip(0), atol=1e-12)
    shuffle = np.random.default_rng(0).permutation(60)
    other = replace(place, positions=place.positions[shuffle], codes=place.codes[shuffle])
    assert torch.allclose(logits(judge, other, poses), here, atol=1e-12)
    codes, _, bonds = ligand()
    order = np.random.default_rng(1).permutation(7)
    new_bonds = np.concatenate([np.argsort(order)[bonds[:, :2]], bonds[:, 2:]], axis=1)
    with torch.no_grad():
        found = judge(judged(codes[order], new_bonds, place, poses[:, order], CONFIG.reach))
    assert torch.allclose(found, here, atol=1e-12)


def test_atoms_beyond_the_reach_are_not_seen() -> None:
    judge, place, poses = the_judge(), receptor(), several()
    far = np.concatenate([place.positions, [[50.0, 0, 0]]])
    more = replace(place, positions=far, codes=np.concatenate([place.codes, place.codes[:1]]))
    assert torch.allclose(logits(judge, more, poses), logits(judge, place, poses), atol=1e-12)


def test_a_pose_far_from_everything_has_a_number() -> None:
    found = logits(the_judge(), receptor(), several(2) + 500.0)
    assert torch.isfinite(found).all()
    assert torch.allclose(found[0], found[1])


def test_contacts_come_and_go_smoothly() -> None:
    """One receptor atom drawn through the reach: no jump in value or slope, with several contacts besides."""
    judge, poses = the_judge(), several(1)
    place = receptor()
    away = 14.0 * np.array([1.0, 0, 0])
    start = poses[0][np.argmax(poses[0][:, 0])]
    values, distances = [], np.linspace(CONFIG.reach - 0.02, CONFIG.reach + 0.02, 41)
    for distance in distances:
        positions = np.concatenate([place.positions[:20], [start + distance * away / 14.0]])
        moved = replace(place, positions=positions, codes=place.codes[:21])
        values.append(float(logits(judge, moved, poses)[0]))
    inner = replace(place, positions=np.concatenate([place.positions[:20], [start + 3.0 * away / 14.0]]),
                    codes=place.codes[:21])  # fmt: skip
    effect = abs(float(logits(judge, inner, poses)[0]) - values[-1])
    assert effect > 1e-3, "the atom does not count even where it is near"
    steps = np.diff(values)
    assert np.abs(steps).max() < 1e-3 * effect
    assert np.abs(np.diff(steps)).max() < 1e-4 * effect


def test_it_learns_to_tell_contacts_from_none() -> None:
    judge, place = the_judge(1.0).train(), receptor()
    near, far = several(12), several(12) + np.array([11.0, 0, 0])
    codes, _, bonds = ligand()
    asked = judged(codes, bonds, place, np.concatenate([near, far]), CONFIG.reach)
    truth = (torch.arange(24) < 12).double()
    optimiser = torch.optim.Adam(judge.parameters(), lr=0.01)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(judge(asked), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
