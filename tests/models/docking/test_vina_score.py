"""The exact score: its gradients, its cutoff, what it ignores, and one pair by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from eqcli.io.atom_types import AtomType
from eqcli.models.docking import vina_score
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_score import VinaScore
from eqcli.models.docking.vina_terms import TERMS, pair_energy, pair_kind, pair_slope
from tests.models.docking.vina_case import PAIRS, TYPES, a_site, some_poses


def two_atoms(first: AtomType, second: AtomType, distance: float) -> dict[str, float]:
    """The terms of a ligand of one atom at a receptor of one atom."""
    centre, size = torch.zeros(3, dtype=torch.float64), torch.full((3,), 30.0, dtype=torch.float64)
    site = Site.around(torch.zeros(1, 3, dtype=torch.float64), torch.tensor([int(first)]), centre, size)
    score = VinaScore(site, torch.tensor([int(second)]), torch.zeros(0, 2, dtype=torch.int64), 0)
    terms = score.terms(torch.tensor([[[distance, 0.0, 0.0]]], dtype=torch.float64))
    return {name: terms[name].item() for name in TERMS}


def test_the_terms_of_one_pair_by_hand() -> None:
    contact = two_atoms(AtomType.C_H, AtomType.C_H, 4.8)  # d = 1.0
    assert contact["gauss1"] == pytest.approx(-0.035579 * math.exp(-4))
    assert contact["gauss2"] == pytest.approx(-0.005156 * math.exp(-1))
    assert contact["repulsion"] == 0
    assert contact["hydrophobic"] == pytest.approx(-0.035069 / 2)
    bond = two_atoms(AtomType.N_D, AtomType.O_A, 3.15)  # d = -0.35
    assert bond["repulsion"] == pytest.approx(0.840245 * 0.35**2)
    assert bond["hydrogen_bond"] == pytest.approx(-0.587439 / 2)
    assert bond["hydrophobic"] == 0


def test_who_bonds_with_whom() -> None:
    def strength(first: AtomType, second: AtomType) -> float:
        return two_atoms(first, second, 2.0)["hydrogen_bond"]

    assert strength(AtomType.N_D, AtomType.O_D) == 0
    assert strength(AtomType.O_A, AtomType.N_A) == 0
    for first, second in ((AtomType.O_DA, AtomType.O_D), (AtomType.METAL, AtomType.O_A), (AtomType.N_A, AtomType.N_DA)):
        assert strength(first, second) == strength(second, first) == pytest.approx(-0.587439)


def test_nothing_is_felt_from_eight_angstrom_on() -> None:
    assert any(two_atoms(AtomType.C_H, AtomType.C_H, 7.999).values())
    assert not any(two_atoms(AtomType.C_H, AtomType.C_H, 8.0).values())


def test_the_slope_of_a_pair_is_the_derivative_of_its_energy() -> None:
    types = torch.arange(len(AtomType))
    kind = pair_kind(types[:, None, None], types[None, :, None])
    # Away from the kinks, which lie at sums of radii (multiples of 0.1) plus multiples of 0.1.
    distance = torch.arange(1.03, 7.9, 0.1, dtype=torch.float64)
    step = 1e-6
    by_difference = (pair_energy(distance + step, kind) - pair_energy(distance - step, kind)) / (2 * step)
    assert torch.allclose(pair_slope(distance, kind), by_difference, atol=1e-8)


@pytest.mark.parametrize("cap", [None, 10.0])
def test_the_gradient_is_that_of_autograd(cap: float | None) -> None:
    score = VinaScore(a_site(), TYPES, PAIRS, 3, cap=cap)
    positions = some_poses(6, spread=3.0).requires_grad_()  # some atoms are out of the box
    energy = score.energy(positions)
    (expected,) = torch.autograd.grad(energy.sum(), positions)
    value, gradient = score.energy_and_gradient(positions.detach())
    assert score.terms(positions)["wall"].min() > 0
    assert torch.allclose(value, energy, atol=1e-10)
    assert torch.allclose(gradient, expected, atol=1e-10)


def test_the_terms_add_up_and_the_affinity_leaves_the_ligand_out() -> None:
    score = VinaScore(a_site(), TYPES, PAIRS, 3.5)
    positions = some_poses(4)
    terms = score.terms(positions)
    assert torch.allclose(sum(terms.values()), score.energy(positions))  # type: ignore[arg-type]
    inter = sum(terms[name] for name in TERMS)
    assert torch.allclose(score.affinity(positions), inter / (1 + 0.05846 * 3.5))  # type: ignore[operator]


def test_hydrogens_count_nothing_and_feel_nothing() -> None:
    score = VinaScore(a_site(), TYPES, PAIRS, 3)
    positions = some_poses(2)
    elsewhere = positions.clone()
    elsewhere[:, TYPES < 0] += 5
    assert torch.equal(score.energy(positions), score.energy(elsewhere))
    assert not score.energy_and_gradient(positions)[1][:, TYPES < 0].any()


def test_the_energy_moves_with_the_receptor() -> None:
    site = a_site()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    shift = torch.tensor([3.0, -40.0, 7.0], dtype=torch.float64)
    moved = Site(site.positions @ turn.T + shift, site.types, site.centre + shift, site.size)
    positions = some_poses(3)
    first = VinaScore(site, TYPES, PAIRS, 3).affinity(positions)
    assert torch.allclose(first, VinaScore(moved, TYPES, PAIRS, 3).affinity(positions @ turn.T + shift), atol=1e-10)


def test_a_cap_bounds_repulsion_and_leaves_attraction() -> None:
    site = a_site()
    clash = site.positions[:1].expand(1, len(TYPES), 3)
    free, capped = (VinaScore(site, TYPES, PAIRS[:0], 3, cap=cap) for cap in (None, 10.0))
    assert free.inter(clash) > 10 * len(TYPES)
    assert capped.inter(clash) < 10 * len(TYPES)
    alone = site.positions.new_tensor([[[0.0, 0.0, 0.0]]])
    one = [VinaScore(site, TYPES[:1], PAIRS[:0], 0, cap=cap).inter(alone) for cap in (None, 10.0)]
    assert one[0] < 0
    assert torch.equal(one[0], one[1])


def test_groups_of_poses_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    score = VinaScore(a_site(), TYPES, PAIRS, 3)
    positions = some_poses(5)
    whole = score.energy_and_gradient(positions)
    monkeypatch.setattr(vina_score, "CHUNK", 1)
    parts = score.energy_and_gradient(positions)
    assert torch.allclose(whole[0], parts[0])
    assert torch.allclose(whole[1], parts[1])


@pytest.mark.parametrize("pose_count", [0, 2])
def test_no_pairs_and_no_poses_are_no_special_case(pose_count: int) -> None:
    topology = SimpleNamespace(types=TYPES.numpy(), pairs=PAIRS[:0].numpy(), torsion_count=0.0)
    score = VinaScore.of(a_site(), topology)
    energy, gradient = score.energy_and_gradient(some_poses(pose_count))
    assert energy.shape == (pose_count,)
    assert gradient.shape == (pose_count, len(TYPES), 3)


def test_a_site_keeps_what_can_be_felt_in_its_box() -> None:
    positions = torch.tensor([[0.0, 0.0, 0.0], [9.9, 0, 0], [10.1, 0, 0], [8, 8, 0], [0.0, 1.0, 0.0]])
    types = torch.tensor([0, 1, 2, 3, -1])
    site = Site.around(positions, types, torch.zeros(3), torch.full((3,), 4.0))
    assert site.types.tolist() == [0, 1]  # the corner atom is 8.5 Å from the box, the last a hydrogen


def test_the_wall_is_flat_inside_and_pulls_back_outside() -> None:
    site = Site.around(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), torch.zeros(3), torch.full((3,), 4.0))
    energy, gradient = site.wall(torch.tensor([[1.9, -1.9, 0.0], [3.0, 0.0, -4.0]]))
    assert energy[0] == 0
    assert not gradient[0].any()
    assert energy[1] > 0
    assert gradient[1, 0] > 0 > gradient[1, 2]
    assert gradient[1, 1] == 0
