"""Calibration: known errors give the known figures."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.metrics.calibration import Calibration, binned, coverage
from eqcli.report.calibration_plots import calibration_plots


def pairs(factor: float, n: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    deviation = np.exp(rng.normal(-3, 0.7, n))
    return deviation, factor * deviation * rng.normal(size=n)


def test_normal_errors_of_the_predicted_size() -> None:
    calibration = Calibration()
    for deviation, error in zip(*(np.array_split(x, 7) for x in pairs(1.0)), strict=True):
        calibration.add(deviation, error)
    figures = calibration.figures(1e3, "meV")
    assert figures is not None
    assert figures["count"] == 20000
    assert figures["within_one"] == pytest.approx(0.6827, abs=0.01)
    assert figures["within_two"] == pytest.approx(0.9545, abs=0.01)
    assert figures["ence"] < 0.04
    assert figures["rmse"] == pytest.approx(figures["root_mean_variance"], rel=0.05)
    assert 0.3 < figures["rank_correlation"] < 0.8
    levels = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(coverage(calibration.rows, levels), levels, atol=0.02)


def test_errors_twice_as_large() -> None:
    calibration = Calibration()
    calibration.add(*pairs(2.0))
    figures = calibration.figures(1.0, "eV")
    assert figures is not None
    assert figures["within_one"] == pytest.approx(0.383, abs=0.01)
    assert figures["ence"] == pytest.approx(1.0, abs=0.06)
    right = Calibration()
    right.add(*pairs(1.0))
    better = right.figures(1.0, "eV")
    assert better is not None
    assert better["negative_log_likelihood"] < figures["negative_log_likelihood"]


def test_few_or_no_labels() -> None:
    calibration = Calibration()
    calibration.add(np.ones(3), np.full(3, np.nan))
    assert calibration.figures(1.0, "eV") is None
    calibration.add(np.ones(3), np.ones(3))
    figures = calibration.figures(1.0, "eV")
    assert figures is not None
    assert figures["rank_correlation"] is None
    assert binned(calibration.rows).shape == (3, 2)


def test_plots_are_drawn() -> None:
    calibration = Calibration()
    calibration.add(*pairs(1.5, 500))
    figures = {"energy": calibration.figures(1e3, "meV")}
    plots = calibration_plots({"energy": (calibration.rows, 1e3, "meV")}, figures)
    assert [plot.name for plot in plots] == ["calibration-energy", "coverage-energy"]
    assert all("<svg" in plot.standalone() for plot in plots)
