from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.geometry.torsions import (
    TorsionTables,
    dihedral,
    fitted_angles,
    pack,
    padded,
    torsion_fit,
    torsion_gradient,
    torsion_tables,
    turned,
)
from tests.rotations import random_rotation

# A chain of eight atoms with branches at 2 and 5, and a three-membered ring at its end: 7 - 8 - 9 - 7.
BONDS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 7), (2, 10), (5, 11), (5, 12)]
AXES = [(1, 2), (2, 3), (3, 4), (5, 4), (5, 6), (6, 7)]
N = 13


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def molecule(axes: list[tuple[int, int]] = AXES) -> tuple[Tensor, TorsionTables]:
    return 2 * random(N, 3), torsion_tables(torch.tensor(axes), torch.tensor(BONDS), N)


def other_side(tables: TorsionTables) -> TorsionTables:
    moved = ~tables.moved
    moved.scatter_(-1, tables.rotatable, False)
    return TorsionTables(tables.rotatable, moved, tables.bond, tables.quadruples)


def rigid(x: Tensor, seed: int) -> Tensor:
    return x @ random_rotation(seed).T + 5 * random(3, seed=seed)


def bond_angles_and_lengths(x: Tensor) -> Tensor:
    """Distances over bonds and over two bonds, in the ring too, and the volumes at the branches (chirality)."""
    near = {(a, b) for a, b in BONDS} | {(b, a) for a, b in BONDS}
    pairs = near | {(a, d) for a, b in near for c, d in near if b == c and a != d}
    index = torch.tensor(sorted(pairs))
    volumes = [
        torch.linalg.det(torch.stack([x[a] - x[c], x[b] - x[c], x[d] - x[c]]))
        for c, a, b, d in [(2, 1, 3, 10), (5, 4, 6, 11), (5, 6, 11, 12), (7, 6, 8, 9)]
    ]
    return torch.cat([(x[index[:, 0]] - x[index[:, 1]]).norm(dim=-1), torch.stack(volumes)])


def test_dihedral_has_the_sign_of_iupac() -> None:
    a, b, c = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=torch.float64)
    for degrees in (-170.0, -60.0, 0.0, 30.0, 90.0, 180.0):
        angle = math.radians(degrees)
        d = torch.tensor([math.cos(angle), math.sin(angle), 1.5], dtype=torch.float64)
        assert math.degrees(float(dihedral(a, b, c, d))) == pytest.approx(degrees, abs=1e-10)


def test_dihedral_of_collinear_atoms_is_zero_with_a_finite_gradient() -> None:
    x = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 3]], requires_grad=True)
    value = dihedral(*x)
    value.backward()
    assert float(value.detach()) == 0
    assert x.grad is not None
    assert bool((x.grad == 0).all())


def test_gradient_of_the_dihedral() -> None:
    x = random(3, 4, 3).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: dihedral(*p.unbind(1)), (x,))


def test_a_turn_adds_its_angle_to_every_dihedral_of_the_bond() -> None:
    x, tables = molecule()
    angles = random(5, len(AXES), seed=3)
    y = turned(x, tables.rotatable, tables.moved, angles)
    k, i, j, m = tables.quadruples.unbind(-1)
    change = dihedral(y[:, k], y[:, i], y[:, j], y[:, m]) - dihedral(x[k], x[i], x[j], x[m])
    torch.testing.assert_close((change - angles[:, tables.bond]).cos(), torch.ones_like(change), atol=1e-12, rtol=0)
    for pose in y:
        torch.testing.assert_close(bond_angles_and_lengths(pose), bond_angles_and_lengths(x), atol=1e-11, rtol=0)


def test_torsion_gradient_is_the_derivative_of_the_turned_positions() -> None:
    x, tables = molecule()
    x = torch.stack([x, random(N, 3, seed=8)])
    angles = torch.zeros(2, len(AXES), dtype=torch.float64, requires_grad=True)
    weights = random(2, N, 3, seed=5)
    (weights * turned(x, tables.rotatable, tables.moved, angles).sin()).sum().backward()
    found = torsion_gradient(x, weights * x.cos(), tables.rotatable, tables.moved)
    torch.testing.assert_close(found, angles.grad, atol=1e-12, rtol=0)


@pytest.mark.parametrize("side", [lambda tables: tables, other_side], ids=["end moves", "start moves"])
def test_fit_meets_the_same_molecule_with_other_torsions(side: object) -> None:
    x, tables = molecule()
    goal = rigid(turned(x, tables.rotatable, tables.moved, 2 * random(len(AXES), seed=4)), 7)
    found = torsion_fit(x, goal, side(tables))  # type: ignore[operator]
    torch.testing.assert_close(found, goal, atol=1e-10, rtol=0)


def test_fit_to_any_cloud_keeps_the_geometry_and_moves_with_the_cloud() -> None:
    x, tables = molecule()
    cloud = 3 * random(N, 3, seed=11)
    found = torsion_fit(x, cloud, tables)
    torch.testing.assert_close(bond_angles_and_lengths(found), bond_angles_and_lengths(x), atol=1e-10, rtol=0)
    torch.testing.assert_close(torsion_fit(rigid(x, 3), rigid(cloud, 5), tables), rigid(found, 5), atol=1e-9, rtol=0)


def test_fitted_angle_is_the_mode_of_the_product_of_von_mises_densities() -> None:
    x, tables = molecule([(2, 3)])
    cloud = random(N, 3, seed=2)
    k, i, j, m = tables.quadruples.unbind(-1)
    goals = dihedral(cloud[k], cloud[i], cloud[j], cloud[m])

    def fit(angle: Tensor) -> Tensor:
        y = turned(x, tables.rotatable, tables.moved, angle[:, None])
        return (dihedral(y[:, k], y[:, i], y[:, j], y[:, m]) - goals).cos().sum(-1)

    best = fit(fitted_angles(x, cloud, tables))
    assert float(best) >= float(fit(torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)).max()) - 1e-12


def test_without_rotatable_bonds_the_fit_is_a_superposition() -> None:
    x = random(N, 3)
    tables = torsion_tables(torch.zeros(0, 2, dtype=torch.int64), torch.tensor(BONDS), N)
    torch.testing.assert_close(torsion_fit(x, rigid(x, 4), tables), rigid(x, 4), atol=1e-10, rtol=0)


def test_a_bond_to_a_straight_end_is_left_as_it_is() -> None:
    x = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3]], dtype=torch.float64)
    bonds = torch.tensor([(0, 1), (1, 2), (2, 3), (3, 4)])
    tables = torsion_tables(torch.tensor([(1, 2)]), bonds, 5)
    found = torsion_fit(x, random(5, 3), tables)
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(x, x), atol=1e-12, rtol=0)
    assert bool(found.isfinite().all())


def test_a_pack_gives_what_each_molecule_gives_alone() -> None:
    sizes = [AXES, AXES[:2], []]
    singles = [molecule(axes) if axes else (random(4, 3), _rigid_tables(4)) for axes in sizes]
    clouds = [random(len(x), 3, seed=20 + n) for n, (x, _) in enumerate(singles)]
    together = torsion_fit(padded([x for x, _ in singles]), padded(clouds), pack([tables for _, tables in singles]))
    for row, (x, tables), cloud in zip(together, singles, clouds, strict=True):
        torch.testing.assert_close(row[: len(x)], torsion_fit(x, cloud, tables), atol=1e-11, rtol=0)


def test_poses_of_one_molecule_are_fitted_together() -> None:
    x, tables = molecule()
    clouds = random(2, 3, N, 3, seed=6)
    together = torsion_fit(x, clouds, tables)
    torch.testing.assert_close(together[1, 2], torsion_fit(x, clouds[1, 2], tables), atol=1e-12, rtol=0)


def test_the_fit_is_differentiable_in_the_cloud() -> None:
    x, tables = molecule(AXES[:2])
    assert torch.autograd.gradcheck(lambda cloud: torsion_fit(x, cloud, tables), (random(N, 3).requires_grad_(True),))


def _rigid_tables(n: int) -> TorsionTables:
    return torsion_tables(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 2, dtype=torch.int64), n)


def test_tables_keep_their_contents_on_another_device() -> None:
    tables = molecule()[1]
    for given in (tables, pack([tables])):
        moved = given.to("meta")
        assert moved.moved.shape == given.moved.shape
        assert moved.quadruples.device.type == "meta"
        assert (moved.present is None) == (given.present is None)
