"""The fast score: tables and grids against the exact sums, and their gradients against differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.models.docking import vina_pairs
from eqcli.models.docking.affinity_maps import AffinityMaps
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_score import VinaScore
from eqcli.models.docking.vina_terms import capped, pair_energy, pair_kind
from tests.models.docking.vina_case import HEAVY, PAIRS, TYPES, a_site, some_poses

HEAVY_TYPES = TYPES[:HEAVY]


def exact(site: Site, coordinates: Tensor) -> Tensor:
    """The sums `[H, P]` over the receptor at coordinates `[3, H, P]`."""
    apart = coordinates.permute(1, 2, 0)[:, :, None] - site.positions
    return pair_energy(apart.norm(dim=-1), pair_kind(HEAVY_TYPES[:, None, None], site.types)).sum(-1)


def in_the_hole(count: int) -> Tensor:
    """Coordinates `[3, H, count]` where a ligand may be: no atom of the receptor is near."""
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(HEAVY * count, 3, generator=generator, dtype=torch.float64)
    return (1.5 * points / points.norm(dim=-1, keepdim=True)).T.reshape(3, HEAVY, count)


def error_at(spacing: float) -> Tensor:
    site = a_site()
    maps = AffinityMaps.of(site, HEAVY_TYPES, spacing=spacing)
    coordinates = in_the_hole(40)
    return maps.energy_and_gradient(coordinates, HEAVY_TYPES)[0] - exact(site, coordinates)


def test_the_maps_come_near_the_exact_sums_with_the_spacing() -> None:
    coarse, fine = error_at(0.5), error_at(0.1875)
    assert fine.abs().mean() < 0.015
    assert fine.abs().mean() < coarse.abs().mean() / 4


def test_the_maps_are_right_on_average() -> None:
    error = error_at(0.375)
    assert error.abs().mean() < 0.05
    assert error.mean().abs() < error.abs().mean() / 4


def test_maps_of_a_few_types_are_those_of_all() -> None:
    site = a_site()
    whole = AffinityMaps.of(site, HEAVY_TYPES)
    grown = AffinityMaps.of(site, HEAVY_TYPES[:2]).covering(HEAVY_TYPES)
    coordinates = in_the_hole(3)
    assert grown.covering(TYPES) is grown
    expected, _ = whole.energy_and_gradient(coordinates, HEAVY_TYPES)
    assert torch.allclose(grown.energy_and_gradient(coordinates, HEAVY_TYPES)[0], expected, atol=1e-6)


@pytest.mark.parametrize("cap", [None, 10.0])
def test_the_fast_gradient_is_that_of_the_fast_energy(cap: float | None) -> None:
    site = a_site()
    score = VinaScore(site, TYPES, PAIRS, 3, cap=cap, maps=AffinityMaps.of(site, TYPES))
    positions = some_poses(4, spread=2.5)  # some atoms are out of the box
    energy, gradient = score.energy_and_gradient(positions)
    assert (positions.abs().amax(-1) > 4.5).any()
    step = 1e-7
    for atom in range(len(TYPES)):
        for axis in range(3):
            moved = positions.clone()
            moved[:, atom, axis] += step
            slope = (score.energy_and_gradient(moved)[0] - energy) / step
            assert torch.allclose(slope, gradient[:, atom, axis], rtol=1e-3, atol=1e-4)


def test_the_table_of_pairs_is_exact_to_its_bins() -> None:
    for cap in (None, 10.0):
        table = vina_pairs.PairTable(HEAVY_TYPES, PAIRS, torch.float64, cap)
        score = VinaScore(a_site(), TYPES, PAIRS, 3, cap=cap)
        positions = some_poses(200)
        energy, _ = table.energy_and_gradient(positions[:, :HEAVY].permute(2, 1, 0))
        assert torch.allclose(energy, score.intra(positions), atol=2e-3, rtol=1e-3)


def test_far_pairs_are_free() -> None:
    table = vina_pairs.PairTable(HEAVY_TYPES, PAIRS, torch.float64)
    coordinates = torch.arange(HEAVY, dtype=torch.float64)[None, :, None].expand(3, HEAVY, 2) * 1e6
    energy, gradient = table.energy_and_gradient(coordinates)
    assert not energy.any()
    assert not gradient.any()


def test_a_pose_far_from_the_box_is_pulled_back() -> None:
    site = a_site(dtype=torch.float32)
    score = VinaScore(site, TYPES, PAIRS, 3, maps=AffinityMaps.of(site, TYPES))
    positions = some_poses(1, dtype=torch.float32) + torch.tensor([500.0, 0.0, 0.0])
    energy, gradient = score.energy_and_gradient(positions)
    assert torch.isfinite(energy).all()
    assert (gradient[:, :HEAVY, 0] > 1).all()


def test_single_precision_suffices() -> None:
    results = []
    for dtype in (torch.float32, torch.float64):
        site = a_site(dtype=dtype)
        score = VinaScore(site, TYPES, PAIRS, 3, cap=10.0, maps=AffinityMaps.of(site, TYPES))
        results.append(score.energy_and_gradient(some_poses(50).to(dtype))[0].double())
    assert torch.allclose(results[0], results[1], atol=1e-3)


def descended(score: VinaScore, positions: Tensor) -> Tensor:
    """Where steps down the gradient end."""
    for _ in range(600):
        positions = positions - 0.04 * score.energy_and_gradient(positions)[1]
    return positions


def test_leaving_a_minimum_for_that_of_the_maps_costs_little() -> None:
    # The energy, not the place, is what counts: one atom in a shallow valley drifts far for little.
    site = a_site()
    slow = VinaScore(site, TYPES[:1], PAIRS[:0], 0)
    fast = VinaScore(site, TYPES[:1], PAIRS[:0], 0, maps=AffinityMaps.of(site, TYPES[:1]))
    lowest = descended(slow, torch.zeros(1, 1, 3, dtype=torch.float64))
    nearby = descended(fast, lowest)
    assert slow.energy(nearby) - slow.energy(lowest) < 0.05


def test_a_box_thinner_than_a_cell_has_maps() -> None:
    site = a_site(size=0.1)
    maps = AffinityMaps.of(site, HEAVY_TYPES)
    assert maps.shape == (1, 1, 1)
    energy, _ = maps.energy_and_gradient(torch.zeros(3, HEAVY, 1, dtype=torch.float64), HEAVY_TYPES)
    middle = exact(site, torch.zeros(3, HEAVY, 1, dtype=torch.float64))
    assert torch.allclose(energy, middle, atol=0.2)


def test_an_empty_receptor_gives_nothing() -> None:
    empty = Site.around(torch.zeros(0, 3), TYPES[:0], torch.zeros(3), torch.full((3,), 4.0))
    score = VinaScore(empty, TYPES, PAIRS[:0], 0, maps=AffinityMaps.of(empty, TYPES))
    assert not score.energy_and_gradient(torch.zeros(2, len(TYPES), 3))[0].any()


def test_capped_energies_keep_their_slope_at_zero() -> None:
    tiny = torch.tensor([-1e-6, 0.0, 1e-6], dtype=torch.float64)
    assert torch.allclose(capped(tiny, 10.0), tiny, atol=1e-12)
