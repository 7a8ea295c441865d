"""The docker: what becomes of one ligand does not depend on the others, and all atoms stay sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.docker import Docker, DockSettings
from eqcli.engine.docking_box import Box, box_around, pocket_box
from eqcli.engine.docking_physics import exact_affinities
from eqcli.engine.docking_pose import PoseResult, distinct, ranked
from eqcli.engine.ligand_field import LigandField, strains
from eqcli.engine.pose_minimise import minimised
from eqcli.errors import Failure, InputError
from eqcli.io.ligand import Ligand, conformers, read_ligands
from eqcli.io.ligand_topology import topology
from eqcli.io.receptor import Receptor, read_receptor
from tests.tasks.dock_case import StubNetwork, write_receptor

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.fixture(scope="module")
def receptor(tmp_path_factory: pytest.TempPathFactory) -> Receptor:
    return read_receptor(write_receptor(tmp_path_factory.mktemp("receptor")))


def ligand(smiles: str) -> Ligand:
    found = next(iter(read_ligands(smiles)))
    assert isinstance(found, Ligand)
    return found


def poses_of(found: list[PoseResult] | Failure) -> list[PoseResult]:
    assert not isinstance(found, Failure), found
    return found


def test_the_gradient_of_the_force_field_is_that_of_its_energy() -> None:
    """The first call, too: the energy has to come before the gradient."""
    one = ligand(ASPIRIN)
    field = LigandField(one)
    start = one.structure.positions + np.random.default_rng(0).normal(scale=0.05, size=one.structure.positions.shape)
    _, gradient = field.energy_and_gradient(start)
    for atom, axis in ((0, 0), (4, 1), (15, 2)):
        step = np.zeros_like(start)
        step[atom, axis] = 1e-5
        slope = (field.energy(start + step) - field.energy(start - step)) / 2e-5
        assert gradient[atom, axis] == pytest.approx(slope, rel=1e-4, abs=1e-3)


def test_a_minimised_pose_has_less_energy_and_stays_where_it_was(receptor: Receptor) -> None:
    one = ligand(ASPIRIN)
    prepared = Docker(None, DockSettings()).prepare(receptor)
    shape = topology(one)
    middle = receptor.structure.positions.mean(axis=0)
    start = one.structure.positions - one.structure.positions.mean(axis=0) + middle + [0, 0, 12.0]
    start = start + np.random.default_rng(1).normal(scale=0.05, size=start.shape)
    site = prepared.site(box_around(start), torch.float64)
    field = LigandField(one)
    ended = minimised(field, site, shape, start, steps=200)
    assert field.energy(ended) < field.energy(start) - 5
    assert np.linalg.norm((ended - start)[shape.heavy], axis=1).max() < 1.0


def test_strain_is_counted_from_the_lowest_free_shape() -> None:
    one = ligand("CCCCO")
    field = LigandField(one)
    shapes = conformers(one, 5, 0)
    lowest = min(field.relaxed_energy(shape) for shape in shapes)
    stretched = shapes[0] * 1.05
    first, second = strains(field, np.stack([shapes[0], stretched]), shapes)
    assert first is not None
    assert second is not None
    assert first == pytest.approx(field.energy(shapes[0]) - lowest, abs=1e-6)
    assert second > first + 1


def test_network_poses_are_scored_ranked_and_judged(receptor: Receptor) -> None:
    docker = Docker(StubNetwork(), DockSettings(poses=3, search=False, minimise="none", rank_by="confidence"))
    prepared = docker.prepare(receptor)
    one = ligand(ASPIRIN)
    poses = poses_of(docker.dock(prepared, [one])[0])
    assert 1 <= len(poses) <= 3
    confidences = [pose.confidence for pose in poses]
    assert confidences == sorted(confidences, key=lambda value: -(value or 0))
    scores = exact_affinities(prepared, topology(one), np.stack([pose.positions for pose in poses]))
    np.testing.assert_allclose([pose.score for pose in poses], scores, atol=1e-9)


def test_a_ligand_that_fails_does_not_stop_the_others(receptor: Receptor) -> None:
    docker = Docker(StubNetwork(fail="CCN"), DockSettings(poses=1, search=False, minimise="none"))
    found = docker.dock(docker.prepare(receptor), [ligand(text) for text in ("CCO", "CCN", "CCS")])
    assert [isinstance(one, Failure) for one in found] == [False, True, False]
    alone = poses_of(docker.dock(docker.prepare(receptor), [ligand("CCS")], seeds=[2])[0])
    np.testing.assert_array_equal(alone[0].positions, poses_of(found[2])[0].positions)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")], ids=["cpu", "cuda"])
def test_ligands_that_do_not_fit_together_are_docked_one_by_one(receptor: Receptor, error: Exception) -> None:
    class Cramped(StubNetwork):
        def poses(self, prepared: Any, ligands: Any, site: Any) -> list[dict[str, Any]]:
            if len(ligands) > 1 or len(ligands[0][1]) > 12:
                raise error
            return super().poses(prepared, ligands, site)

    docker = Docker(Cramped(), DockSettings(poses=1, search=False, minimise="none"))
    small, large, other = docker.dock(docker.prepare(receptor), [ligand(text) for text in ("CCO", "CCCCCCC", "CCS")])
    assert len(poses_of(small)) == len(poses_of(other)) == 1
    assert isinstance(large, Failure)
    assert large.reason == "it needs more memory than there is"


def test_a_search_starts_from_the_network_and_keeps_the_bonds(receptor: Receptor) -> None:
    docker = Docker(StubNetwork(), DockSettings(poses=2, effort=0.02, pockets=2, minimise="none", conformers=2))
    one = ligand("CCCO")
    poses = poses_of(docker.dock(docker.prepare(receptor), [one])[0])
    assert {pose.method for pose in poses} == {"refined"}
    assert [pose.score for pose in poses] == sorted(pose.score for pose in poses)
    for pose in poses:
        for i, j, _ in one.structure.info["bonds"]:
            length = np.linalg.norm(pose.positions[int(i)] - pose.positions[int(j)])
            assert 0.9 < length < 1.6


def test_the_torsions_of_a_file_are_not_used(receptor: Receptor) -> None:
    """A pose that is given may be the answer: docking begins from the bonds alone."""
    docker = Docker(StubNetwork(), DockSettings(poses=1, search=False, minimise="none"))
    one = ligand("CCCCCO")
    turned = conformers(one, 4, 3)[-1]
    given = Ligand(one.structure, one.name, given=True)
    moved = Ligand(type(one.structure)(**{**vars(one.structure), "positions": turned}), one.name, given=True)
    first, second = (poses_of(docker.dock(docker.prepare(receptor), [x])[0])[0] for x in (given, moved))
    np.testing.assert_allclose(first.positions, second.positions, atol=1e-6)


def test_neither_network_nor_search_is_nothing() -> None:
    with pytest.raises(InputError, match="without a network"):
        Docker(None, DockSettings(search=False))


def test_a_box_far_from_the_receptor_is_a_failure_with_its_reason(receptor: Receptor) -> None:
    docker = Docker(None, DockSettings(effort=0.02))
    (found,) = docker.dock(docker.prepare(receptor), [ligand("CO")], Box((500.0, 0.0, 0.0), (20.0, 20.0, 20.0)))
    assert isinstance(found, Failure)
    assert "no atom of the receptor is near the box" in found.reason


def test_boxes_of_pockets_have_bounded_sides() -> None:
    small = pocket_box(np.zeros(3), np.zeros((1, 3)))
    large = pocket_box(np.zeros(3), np.array([[50.0, 0, 0], [0, 9.0, 0]]))
    assert small.size == (18.0, 18.0, 18.0)
    assert large.size == (28.0, 26.0, 18.0)


def test_ranking_and_distinct_poses() -> None:
    def at(x: float, score: float, confidence: float | None) -> PoseResult:
        return PoseResult(np.full((2, 3), x), "physics", score, confidence)

    poses: list[Any] = [at(0.0, -5.0, 0.2), at(0.1, -4.0, 0.9), at(5.0, -3.0, 0.5)]
    assert [pose.score for pose in ranked(poses, "confidence")] == [-4.0, -3.0, -5.0]
    assert [pose.score for pose in ranked(poses, "both")] == [-4.0, -5.0, -3.0]
    assert [pose.score for pose in ranked([at(0, -1.0, None), at(0, -2.0, None)], "both")] == [-2.0, -1.0]
    assert distinct(poses, np.array([True, True]), 9) == [poses[0], poses[2]]
    assert distinct(poses, np.array([True, True]), 1) == [poses[0]]
