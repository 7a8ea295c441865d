"""Properties of crystals and distances of their distributions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.metrics.crystals.distributions import (
    crystal_system,
    distances,
    properties,
    properties_of,
    space_group_of,
    total_variation,
    wasserstein,
)
from tests.metrics.crystals.crystals import crystal, cscl, jiggled, perovskite, repeated


def test_properties_of_a_known_crystal() -> None:
    found = properties_of(replace(cscl(4.123), energy=-6.0), 0.01)
    assert found.density == pytest.approx(3.99, abs=0.01)  # Caesium chloride, g/cm^3.
    assert (found.n_elements, found.n_atoms) == (2, 2)
    assert found.volume_per_atom == pytest.approx(4.123**3 / 2)
    assert found.energy_per_atom == pytest.approx(-3.0)
    assert (found.space_group, found.crystal_system) == (221, "cubic")


def test_a_loose_precision_finds_the_symmetry_of_what_is_nearly_symmetric() -> None:
    moved = jiggled(perovskite(), 0.01)
    assert space_group_of(moved, 0.1) == 221
    assert space_group_of(moved, 1e-4) == 1


def test_a_supercell_has_the_same_density_and_space_group() -> None:
    one, four = (properties_of(s, 0.01) for s in (perovskite(), repeated(perovskite(), (1, 2, 2))))
    assert four.density == pytest.approx(one.density)
    assert four.space_group == one.space_group
    assert four.n_atoms == 20


@pytest.mark.parametrize(
    ("number", "name"), [(1, "triclinic"), (2, "triclinic"), (3, "monoclinic"), (167, "trigonal"), (230, "cubic")]
)
def test_crystal_systems_begin_and_end_where_the_tables_say(number: int, name: str) -> None:
    assert crystal_system(number) == name


def test_a_shift_is_a_wasserstein_distance() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert wasserstein(values, values + 0.7) == pytest.approx(0.7)
    assert wasserstein(values, []) is None


def test_total_variation_is_the_share_that_must_move() -> None:
    assert total_variation([1, 1, 2, 2], [1, 1, 1, 2]) == pytest.approx(0.25)
    assert total_variation(["a"], ["b", "b"]) == pytest.approx(1.0)
    assert total_variation([1, None], [None, 1]) == pytest.approx(0.0)
    assert total_variation([], [1]) is None


def test_distances_are_taken_over_what_is_known() -> None:
    small = [properties_of(replace(cscl(4.0), energy=-4.0), 0.01)] * 3
    mixed = [properties_of(cscl(4.0), 0.01), properties_of(replace(perovskite(), energy=-10.0), 0.01)]
    found = distances(small, mixed)
    assert found["n_elements"] == pytest.approx(0.5)
    assert found["n_atoms"] == pytest.approx(1.5)
    assert found["energy_per_atom"] == pytest.approx(0.0)
    assert found["space_group"] == pytest.approx(0.0)
    assert distances(small, [])["density"] is None


def test_a_batch_reports_what_is_no_crystal() -> None:
    found = properties([cscl(), crystal([1], [[0, 0, 0]], 0.1)], 0.01, workers=1)
    assert found[0].value == properties_of(cscl(), 0.01)
    assert found[1].value is None
    assert "volume" in str(found[1].failure)
