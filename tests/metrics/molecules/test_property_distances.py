"""Distances of properties, and errors of properties that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.metrics.molecules.property_distances import (
    mean_distances,
    property_distance,
    property_distances,
    wanted_errors,
)


def asking(**wanted: float) -> Structure:
    return Structure(np.array([1]), np.zeros((1, 3)), info={f"wanted_{k}": v for k, v in wanted.items()})


def test_a_shift_is_measured_in_deviations_of_the_reference() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 1000)
    found = property_distance(values + 3 * values.std(), values)
    assert found.wasserstein.value == pytest.approx(3.0)
    assert found.wasserstein.low < 3.0 < found.wasserstein.high
    assert found.reference_deviation == pytest.approx(values.std())
    assert found.js.distance.value > 0.8
    # It does not depend on the unit.
    other = property_distance(100 * (values + 3 * values.std()), 100 * values)
    assert other.wasserstein.value == pytest.approx(3.0)
    assert other.js.distance.value == pytest.approx(found.js.distance.value, abs=1e-3)


def test_the_same_distribution_is_at_the_floor() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(size=3000)
    ratios = []
    for _ in range(5):
        found = property_distance(rng.normal(size=200), reference, resamples=0)
        ratios.append((found.wasserstein.value / found.wasserstein_floor, found.js.distance.value / found.js.floor))
    assert np.mean(ratios, axis=0) == pytest.approx([1, 1], rel=0.35)


def test_whole_numbers_are_categories() -> None:
    found = property_distance(np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]), whole=True)
    assert found.js.distance.value == pytest.approx(0, abs=1e-8)
    assert property_distance(np.array([7.0]), np.array([0.0, 1.0]), whole=True).js.distance.value == pytest.approx(1)


def test_a_property_that_does_not_vary_has_no_deviation_to_measure_in() -> None:
    found = property_distance(np.array([0.1, 0.1]), np.full(7, 0.1))
    assert np.isnan(found.wasserstein.value)
    assert found.js.distance.value == pytest.approx(0, abs=1e-8)


def test_molecules_without_properties_are_left_out() -> None:
    generated = [{"gap": 1.0}, None, {"gap": 3.0}, {"gap": float("nan")}]
    found = property_distances(generated, [{"gap": 2.0, "qed": 0.5}, {"gap": 4.0, "qed": 0.6}, None])
    assert found.keys() == {"gap", "qed"}
    assert found["gap"].mean.value == 2.0
    assert np.isnan(found["qed"].mean.value)
    assert np.isnan(found["qed"].wasserstein.value)


def test_errors_of_wanted_properties_beside_those_of_random_molecules() -> None:
    rng = np.random.default_rng(2)
    pool = [{"gap": float(v)} for v in rng.normal(10, 2, 500)]
    wanted = rng.choice([p["gap"] for p in pool], 100)
    structures = [asking(gap=float(w)) for w in wanted]
    exact = wanted_errors(structures, [{"gap": float(w) + 0.1} for w in wanted], pool)["gap"]
    assert exact.mae.value == pytest.approx(0.1)
    assert (exact.n, exact.missing) == (100, 0)
    # A generator that does not listen is as good as drawing molecules of the reference.
    deaf = wanted_errors(structures, [pool[k] for k in rng.integers(500, size=100)], pool)["gap"]
    assert deaf.mae.low < deaf.mae_of_shuffled.value < deaf.mae.high


def test_wanted_names_of_data_sets_are_understood_and_what_failed_is_counted() -> None:
    structures = [asking(mu=1.0), asking(mu=2.0), asking(unknown=1.0)]
    found = wanted_errors(structures, [{"dipole": 1.5}, None, {"dipole": 9.0}], [{"dipole": 2.0}])
    assert found.keys() == {"mu"}
    assert found["mu"].mae.value == pytest.approx(0.5)
    assert (found["mu"].n, found["mu"].missing) == (1, 1)
    assert found["mu"].mae_of_shuffled.value == pytest.approx(1.0)


def test_the_mean_distance_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    values, pool = rng.normal(size=20), np.round(rng.normal(size=31), 1)
    values[0] = pool[3]
    assert mean_distances(values, pool) == pytest.approx(np.abs(values[:, None] - pool).mean(axis=1))
    assert np.isnan(mean_distances(values, np.zeros(0))).all()
