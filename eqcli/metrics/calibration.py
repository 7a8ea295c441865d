"""Whether predicted uncertainties have the size of the errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eqcli.io.structure import FloatArray, Structure
from eqcli.metrics.accumulate import Reservoir

BINS = 10
"""Groups of equal size, by predicted standard deviation."""

SAMPLE = 20000

FLOOR = 1e-12
"""eV, eV/Å: smaller standard deviations count as this, so that logarithms are finite."""


class Calibration:
    """Takes predicted standard deviations with the errors that came; memory does not grow with their number."""

    def __init__(self, *, seed: int = 0) -> None:
        self._reservoir = Reservoir(SAMPLE, 2, seed)

    def add(self, deviation: FloatArray, error: FloatArray) -> None:
        """Arrays of one shape, in one unit; entries without a label (NaN) are left out."""
        rows = np.stack([np.ravel(deviation), np.ravel(error)], axis=1)
        self._reservoir.add(rows[np.isfinite(rows).all(axis=1)])

    @property
    def rows(self) -> FloatArray:
        """A sample of pairs of standard deviation and absolute error, `[n, 2]`."""
        return np.abs(self._reservoir.rows)

    def figures(self, factor: float, unit: str) -> dict[str, Any] | None:
        """What there is to say, JSON-able; None for fewer than two pairs.

        `ence` is the expected normalised calibration error over bins (Levi et al., Sensors 22, 5540 (2022), eq. 8),
        `within_one` and `within_two` the shares of errors within one and two standard deviations (0.683 and 0.954
        when they are normal), `rank_correlation` Spearman's, `negative_log_likelihood` that of normal errors.
        """
        rows = self.rows
        if len(rows) < 2:
            return None
        deviation, error = np.maximum(rows[:, 0], FLOOR), rows[:, 1]
        score = error / deviation
        bins = binned(rows)
        return {
            "count": self._reservoir.seen,
            "unit": unit,
            "rmse": factor * math.sqrt(float((error**2).mean())),
            "root_mean_variance": factor * math.sqrt(float((deviation**2).mean())),
            "within_one": float((score <= 1).mean()),
            "within_two": float((score <= 2).mean()),
            "ence": float((np.abs(bins[:, 0] - bins[:, 1]) / np.maximum(bins[:, 0], FLOOR)).mean()),
            "rank_correlation": _rank_correlation(deviation, error),
            "negative_log_likelihood": float(
                (0.5 * np.log(2 * np.pi * (factor * deviation) ** 2) + 0.5 * score**2).mean()
            ),
            "bins": (factor * bins).tolist(),
        }


def binned(rows: FloatArray, bins: int = BINS) -> FloatArray:
    """Root mean square of the standard deviations and of the errors in groups of equal size, `[bins, 2]`."""
    order = rows[np.argsort(rows[:, 0], kind="stable")]
    groups = np.array_split(order, min(bins, len(order)))
    return np.array([np.sqrt((group**2).mean(axis=0)) for group in groups])


def coverage(rows: FloatArray, levels: FloatArray) -> FloatArray:
    """Share of errors within the central interval of a normal distribution of each level."""
    from scipy.stats import norm

    score = rows[:, 1] / np.maximum(rows[:, 0], FLOOR)
    return np.array([float((score <= norm.ppf(0.5 + 0.5 * level)).mean()) for level in levels])


def _rank_correlation(a: FloatArray, b: FloatArray) -> float | None:
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


QUANTITIES = {"energy_per_atom": (1e3, "meV/atom"), "forces": (1e3, "meV/Å")}
"""What uncertainties are predicted of, with factor and unit of the figures."""


class Uncertainties:
    """The calibration of everything that comes with a standard deviation."""

    def __init__(self, *, seed: int = 0) -> None:
        self.of = {name: Calibration(seed=seed) for name in QUANTITIES}

    def add(self, labelled: Structure, predicted: Structure) -> None:
        """Takes one structure with its labels and the same with predictions; without deviations nothing happens."""
        energy, forces = predicted.info.get("energy_std"), predicted.arrays.get("forces_std")
        if energy is not None and labelled.energy is not None and predicted.energy is not None:
            error = predicted.energy - labelled.energy
            self.of["energy_per_atom"].add(np.array([energy]) / len(labelled), np.array([error]) / len(labelled))
        if forces is not None and labelled.forces is not None and predicted.forces is not None:
            self.of["forces"].add(forces, predicted.forces - labelled.forces)

    def figures(self) -> dict[str, Any]:
        """The figures of each quantity that there are pairs of."""
        found = {name: self.of[name].figures(*scale) for name, scale in QUANTITIES.items()}
        return {name: figures for name, figures in found.items() if figures is not None}

    def samples(self) -> dict[str, tuple[FloatArray, float, str]]:
        """Pairs for plots, with factor and unit."""
        return {name: (self.of[name].rows, *scale) for name, scale in QUANTITIES.items()}
