"""Jensen-Shannon distances of the geometry and the make-up of sets of molecules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from eqcli.metrics.molecules.distances_js import compare, jensen_shannon, spread
from eqcli.metrics.molecules.geometry import Geometry, geometry_of
from eqcli.metrics.molecules.histograms import BINS, coordinate_tally, pooled
from tests.molecules import embedded, shaken

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4)


def normal(n: int, seed: int, *, middle: float = 1.5, name: str = "C-C") -> list[Geometry]:
    """Molecules with ten lengths each, drawn from one distribution."""
    rng = np.random.default_rng(seed)
    return [
        Geometry({name: rng.normal(middle, 0.05, 10)}, {}, {}, {"C": 11}, {"-": 10}, {}, {"SP3": 11}, 11, 0)
        for _ in range(n)
    ]


@given(COUNTS, COUNTS)
def test_it_is_the_distance_that_scipy_knows(one: list[int], other: list[int]) -> None:
    found = float(jensen_shannon(one, other))
    if not sum(one) and not sum(other):
        assert np.isnan(found)
    elif not sum(one) or not sum(other):
        assert found == 1.0
    else:
        # The square root makes much of rounding near 0.
        assert found**2 == pytest.approx(jensenshannon(one, other, base=2) ** 2, abs=1e-12, nan_ok=True)
        assert 0 <= found <= 1
        assert found == pytest.approx(float(jensen_shannon(other, one)), abs=1e-7)


def test_equal_shares_are_at_zero_and_disjoint_ones_at_one() -> None:
    assert float(jensen_shannon([1, 3, 0], [10, 30, 0])) == pytest.approx(0, abs=1e-8)
    assert float(jensen_shannon([1, 3, 0], [0, 0, 7])) == pytest.approx(1)
    assert jensen_shannon(np.ones((3, 2, 4)), np.ones((2, 4))).shape == (3, 2)


def test_a_set_is_at_no_distance_from_itself() -> None:
    molecules = [geometry_of(shaken(embedded(s), k)) for k, s in enumerate(["CCO", "c1ccccc1", "CC(=O)N", "C#CC"] * 3)]
    found = compare(molecules, molecules, least=1)
    assert all(c.distance.value == pytest.approx(0, abs=1e-7) for c in found.values())
    assert all(c.outside == 0 for c in found.values())


def test_types_are_averaged_with_the_counts_of_the_reference() -> None:
    reference = normal(30, 0) + normal(10, 1, name="C-O")
    found = compare(normal(30, 0), reference, least=50)["lengths"]
    assert found.types["C-C"].distance == pytest.approx(0, abs=1e-7)
    assert (found.types["C-O"].distance, found.types["C-O"].generated, found.types["C-O"].reference) == (1, 0, 100)
    assert found.distance.value == pytest.approx(0.25)


def test_rare_types_are_not_compared_but_counted() -> None:
    reference = normal(30, 0) + normal(1, 1, name="C-O")
    found = compare(normal(30, 2) + normal(10, 3, name="C-N"), reference, least=50)["lengths"]
    assert found.types.keys() == {"C-C"}
    assert found.outside == pytest.approx(0.25)


def test_categories_that_the_reference_lacks_are_outside() -> None:
    strange = [replace(g, hybridisations={"SP2": 11}) for g in normal(10, 0)]
    found = compare(normal(10, 1) + strange, normal(50, 2))
    assert found["hybridisations"].outside == pytest.approx(0.5)
    assert found["elements"].distance.value == pytest.approx(0, abs=1e-7)
    assert compare(strange, normal(50, 2))["hybridisations"].distance.value == pytest.approx(1)


def test_the_floor_is_what_a_perfect_generator_gets() -> None:
    reference = normal(1000, 0)
    found = {n: compare(normal(n, 1), reference)["lengths"] for n in (5, 50)}
    # A small sample is farther away although it is from the same distribution, and the floor says so.
    assert found[5].distance.value > 2 * found[50].distance.value
    for comparison in found.values():
        assert comparison.distance.value == pytest.approx(comparison.floor, rel=0.3)
    shifted = compare(normal(50, 1, middle=1.6), reference)["lengths"]
    assert shifted.distance.value > 3 * shifted.floor


def test_the_bounds_cover_what_other_samples_give() -> None:
    reference = normal(1000, 0, middle=1.55)
    found = [compare(normal(50, seed), reference, splits=1)["lengths"].distance for seed in range(1, 21)]
    mean = np.mean([f.value for f in found])
    assert sum(f.low <= mean <= f.high for f in found) >= 16
    assert compare(normal(9, 1), reference, resamples=0)["lengths"].distance.low != 0


def test_a_seed_gives_the_same_figures_and_nothing_gives_nan() -> None:
    reference = normal(40, 0)
    one, other = (compare(normal(20, 1), reference, seed=3)["lengths"] for _ in range(2))
    assert one == other
    empty = compare([], reference)["lengths"]
    assert np.isnan(empty.distance.value)
    assert (empty.n_generated, empty.n_reference) == (0, 40)
    assert np.isnan(compare(reference, [])["lengths"].distance.value)


def test_mirror_images_and_both_sides_of_180_degrees_fall_into_one_bin() -> None:
    bins = BINS["torsions"]
    values = np.array([-179.9, -60.0, 12.0, 65.0])
    assert bins.index(values).tolist() == bins.index(-values).tolist()
    assert bins.index([-179.9]) == bins.index([179.9]) == bins.count - 1
    assert BINS["lengths"].index([0.0, 9.0]).tolist() == [0, BINS["lengths"].count - 1]
    assert len(bins.edges()) == bins.count + 1


def test_a_tally_counts_what_a_histogram_counts() -> None:
    molecules = normal(12, 5)
    tally = coordinate_tally(molecules, "lengths", ("C-C",))
    expected = np.histogram(pooled(molecules, "lengths")["C-C"], BINS["lengths"].edges())[0]
    # An edge may round to either side.
    assert np.abs(np.cumsum(tally.total()[0]) - np.cumsum(expected)).max() <= 1
    weights = np.arange(12)
    repeated = [g for g, n in zip(molecules, weights, strict=True) for _ in range(n)]
    assert np.array_equal(tally.weighted(weights), coordinate_tally(repeated, "lengths", ("C-C",)).total())


def test_bounds_need_two_draws_and_stay_in_range() -> None:
    assert np.isnan(spread(0.5, [0.5]).low)
    assert spread(0.01, [0.0, 0.2]).low == 0
    assert spread(0.99, [0.5, 1.0]).high == 1
