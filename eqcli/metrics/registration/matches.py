"""How good the matches are that a solver is given, whatever it makes of them."""

from __future__ import annotations

from eqcli.metrics.registration.errors import FloatArray, moved


def right_matches(source: FloatArray, target: FloatArray, truth: FloatArray, distance: float) -> int:
    """How many matches `[M, 3]` the truth brings nearer than `distance`: |T* p - q| < distance."""
    return int((((moved(source, truth) - target) ** 2).sum(axis=1) < distance**2).sum())


def inlier_ratio(
    source: FloatArray,
    target: FloatArray,
    truth: FloatArray,
    distance: float,
    symmetries: FloatArray | None = None,
) -> float:
    """Share of matches that are right; of a symmetric object by the symmetry that makes most of them right.

    NaN without matches. Feature matching recall counts pairs whose share is above a threshold.
    """
    if not len(source):
        return float("nan")
    truths = [truth, *(symmetry @ truth for symmetry in (symmetries if symmetries is not None else ()))]
    return max(right_matches(source, target, one, distance) for one in truths) / len(source)
