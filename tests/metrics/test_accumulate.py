"""Streaming statistics against the same statistics of everything at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.metrics.accumulate import ErrorStatistics, Highest, Reservoir


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(-1e5, 1e5))
@settings(max_examples=40, deadline=None)
def test_blocks_give_what_the_whole_gives(seed: int, blocks: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=200) + offset
    predicted = reference + rng.normal(scale=0.1, size=200) + 0.05
    statistics = ErrorStatistics()
    for a, b in zip(np.array_split(reference, blocks), np.array_split(predicted, blocks), strict=True):
        statistics.add(a, b)
    error = predicted - reference
    assert statistics.count == 200
    assert statistics.mae == pytest.approx(np.abs(error).mean())
    assert statistics.rmse == pytest.approx(np.sqrt((error**2).mean()))
    assert statistics.bias == pytest.approx(error.mean())
    assert statistics.rmse_without_bias == pytest.approx(error.std(), rel=1e-6)
    assert statistics.largest == pytest.approx(np.abs(error).max())
    assert statistics.r2 == pytest.approx(1 - (error**2).mean() / reference.var(), rel=1e-6)


def test_absent_labels_do_not_count() -> None:
    statistics = ErrorStatistics()
    statistics.add(np.array([1.0, np.nan, 3.0]), np.array([2.0, 7.0, 3.0]))
    statistics.add(np.array([np.nan]), np.array([7.0]))
    assert statistics.count == 2
    assert statistics.mae == 0.5


def test_r2_of_constant_references_is_none() -> None:
    statistics = ErrorStatistics()
    statistics.add(np.ones(3), np.zeros(3))
    assert statistics.r2 is None


def test_reservoir_keeps_everything_that_fits() -> None:
    reservoir = Reservoir(10, 2, seed=0)
    rows = np.arange(12.0).reshape(6, 2)
    reservoir.add(rows[:4])
    reservoir.add(rows[4:])
    assert (reservoir.rows == rows).all()


def test_reservoir_is_uniform_and_bounded() -> None:
    counts = np.zeros(100)
    for seed in range(300):
        reservoir = Reservoir(10, 1, seed)
        for block in np.array_split(np.arange(100.0)[:, None], 7):
            reservoir.add(block)
        assert len(reservoir.rows) == 10
        counts[reservoir.rows[:, 0].astype(int)] += 1
    # 300 draws of 10 of 100: mean 30, standard deviation 5.2
    assert counts.min() > 8
    assert counts.max() < 60
    assert abs(counts[:50].sum() - 1500) < 150


def test_reservoir_depends_on_the_seed_and_not_on_the_blocks() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 2))
    samples = []
    for blocks in (1, 3, 50):
        reservoir = Reservoir(20, 2, seed=4)
        for block in np.array_split(rows, blocks):
            reservoir.add(block)
        samples.append(reservoir.rows)
    assert (samples[0] == samples[1]).all()
    assert (samples[0] == samples[2]).all()


def test_highest_keeps_the_highest() -> None:
    highest = Highest(3)
    for k, score in enumerate([1.0, 5.0, 3.0, 5.0, 0.5, 4.0]):
        highest.add(score, {"k": k})
    assert [entry["k"] for entry in highest.entries] == [1, 3, 5]
