"""Histograms of several sets."""

from __future__ import annotations

import numpy as np

from eqcli.report.distribution_plots import _edges


def test_of_a_few_values_none_is_left_out() -> None:
    edges = _edges({"a": np.array([-9.0, -6.0]), "b": np.array([-8.0])}, None, None)
    assert (edges[0], edges[-1]) == (-9.0, -6.0)


def test_of_many_values_the_outermost_are() -> None:
    values = np.concatenate([np.linspace(0.0, 1.0, 1000), [-500.0, 500.0]])
    edges = _edges({"a": values}, None, None)
    assert -0.01 < edges[0] < 0.01
    assert 0.99 < edges[-1] < 1.01
