"""Pockets: in a hollow that is known, moving with the atoms, and beside the ligands of real receptors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.models.docking.pockets import APART, find_pockets

FloatArray = NDArray[np.float64]

HOLLOW = np.array([4.0, 0.0, 0.0])


def ball(radius: float = 14.0, hollow: FloatArray | None = HOLLOW, room: float = 4.5) -> FloatArray:
    """Atoms 1.9 Å or so apart in a ball, with or without a hollow in it, and not on a lattice."""
    axis = np.arange(-radius, radius + 1e-9, 1.9)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points = grid + np.random.default_rng(0).uniform(-0.3, 0.3, grid.shape)
    points = points[np.linalg.norm(points, axis=1) < radius]
    return points if hollow is None else points[np.linalg.norm(points - hollow, axis=1) > room]


def radii(points: FloatArray) -> FloatArray:
    return np.full(len(points), 1.8)


def test_a_hollow_is_the_best_pocket() -> None:
    points = ball()
    pockets = find_pockets(points, radii(points))
    assert np.linalg.norm(pockets[0].centre - HOLLOW) < 1.0
    assert [p.score for p in pockets] == sorted((p.score for p in pockets), reverse=True)


def test_a_packed_ball_has_no_room() -> None:
    points = ball(hollow=None)
    inside = [p for p in find_pockets(points, radii(points)) if np.linalg.norm(p.centre) < 9]
    assert inside == []


def test_the_volume_of_a_larger_hollow_is_larger() -> None:
    small, large = (find_pockets(points, radii(points))[0] for points in (ball(room=4.0), ball(room=5.5)))
    assert large.volume > small.volume
    assert large.score > small.score


def test_points_lie_clear_of_every_atom() -> None:
    points = ball()
    pocket = find_pockets(points, radii(points))[0]
    distances = np.linalg.norm(pocket.points[:, None] - points, axis=-1)
    assert distances.min() > 1.8 + 1.6 - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_pockets_move_with_the_receptor(seed: int) -> None:
    points = ball()
    turn, shift = Rotation.random(random_state=seed).as_matrix(), np.array([31.0, -7.0, 55.0])
    before, after = find_pockets(points, radii(points)), find_pockets(points @ turn.T + shift, radii(points))
    assert len(before) == len(after) > 1
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a.centre @ turn.T + shift, b.centre, atol=1e-6)
        assert b.score == pytest.approx(a.score, rel=1e-9)
        assert b.volume == pytest.approx(a.volume, rel=1e-9)


def test_the_order_of_atoms_does_not_matter() -> None:
    points = ball()
    order = np.random.default_rng(1).permutation(len(points))
    before, after = find_pockets(points, radii(points)), find_pockets(points[order], radii(points))
    np.testing.assert_allclose([p.centre for p in before], [p.centre for p in after], atol=1e-6)


def test_pockets_are_apart_and_no_more_than_asked_for() -> None:
    points = ball()
    assert len(find_pockets(points, radii(points), count=2)) == 2
    centres = np.array([p.centre for p in find_pockets(points, radii(points))])
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e3 * np.eye(len(centres))
    assert distances.min() >= APART


def test_few_or_flat_atoms_have_no_pockets() -> None:
    flat = np.column_stack([np.random.default_rng(0).uniform(-9, 9, (30, 2)), np.zeros(30)])
    for points in (np.zeros((0, 3)), np.eye(3), flat):
        assert find_pockets(points, radii(points)) == []


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="radii"):
        find_pockets(np.zeros((5, 3)), np.zeros(4))


def test_pockets_of_real_receptors_are_where_ligands_bind(shared: Path) -> None:
    gemmi, chem = pytest.importorskip("gemmi"), pytest.importorskip("rdkit.Chem")
    for name in ("series/jacs_set/tyk2", "series/merck/cmet", "series/jacs_set/p38"):
        folder = shared / "docking" / f"openfe_{name}"
        atoms = [a for c in gemmi.read_structure(str(folder / "protein.pdb.gz"))[0] for r in c for a in r
                 if r.name != "HOH" and a.element.name != "H"]  # fmt: skip
        points = np.array([a.pos.tolist() for a in atoms])
        ligand = next(iter(chem.SDMolSupplier(str(folder / "ligands.sdf"))))
        found = find_pockets(points, radii(points), count=1)[0]
        assert np.linalg.norm(found.centre - ligand.GetConformer().GetPositions().mean(0)) < 5.0
