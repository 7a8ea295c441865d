"""Recall against the number of motions that a solver may try, on the same matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eqcli.errors import EqcliError

if TYPE_CHECKING:
    from eqcli.metrics.registration.hypotheses import MatchedPair
    from eqcli.models.pointcloud.matches import Matches
    from eqcli.tasks.evaluate_registration_input import RegistrationCase

WORDS: Final = {
    "one-match": "one-match",
    "ransac": "RANSAC",
    "ransac-edges": "RANSAC, edges compared first",
}
"""Curve of `metrics.registration.hypotheses.CURVES` -> in words."""

JUDGED: Final = 2000
"""Points of the source by which a motion is judged, evenly chosen."""


@dataclass(frozen=True)
class MatchesOf:
    """Where the matches of a curve come from.

    Attributes
    ----------
    features
        Name of the features.
    matched
        Gives the matches of a pair and the seconds that they took.
    threshold
        Voxels within which a motion explains a match.
    """

    features: str
    matched: Callable[[RegistrationCase], tuple[Matches, float]]
    threshold: float


class HypothesisCurves:
    """Keeps the matches of every pair, and solves them again and again with more hypotheses.

    A motion counts by the rule of PARE-Net, whatever rule the tables are by.
    """

    def __init__(self) -> None:
        self._pairs: dict[str, list[MatchedPair]] = {}

    def add(self, case: RegistrationCase, sources: Sequence[MatchesOf]) -> None:
        """The matches of a pair by each of the features; nothing where the truth is unknown.

        Features that fail leave no matches, which no solver can solve.
        """
        from eqcli.metrics.registration.hypotheses import MatchedPair

        if case.pair.truth is None:
            return
        points = case.source.points[:: max(1, len(case.source) // JUDGED)]
        truth = case.pair.truth @ np.linalg.inv(case.turn)
        for source in {one.features: one for one in sources}.values():
            try:
                matches, _ = source.matched(case)
            except (EqcliError, ValueError, RuntimeError, ArithmeticError, LookupError):
                matches = _no_matches()
            pair = MatchedPair(
                matches, points, truth, source.threshold * case.voxel, case.limits.distance, case.pair.symmetries
            )
            self._pairs.setdefault(source.features, []).append(pair)

    def rows(self, seed: int = 0) -> list[dict[str, Any]]:
        """Of each features and solver: `method`, `features`, `pairs`, `points`, `reached` and `needed`.

        `points` are motions tried on average and the recall within them; `needed` are the motions for the recall
        `reached`, which all solvers of these features come to.
        """
        return [row for features, pairs in self._pairs.items() for row in _rows(features, pairs, seed)]


def _rows(features: str, pairs: list[MatchedPair], seed: int) -> list[dict[str, Any]]:
    from eqcli.metrics.registration.hypotheses import recall_curve

    turned = any(pair.matches.rotations is not None for pair in pairs)
    curves = [recall_curve(pairs, name, seed=seed) for name in WORDS if turned or name != "one-match"]
    reached = min(float(curve.recall.max()) for curve in curves)
    return [
        {
            "method": f"{features} + {WORDS[curve.solver]}",
            "features": features,
            "pairs": len(pairs),
            "points": [[max(1.0, tried), recall] for tried, recall in zip(*_lists(curve), strict=True)],
            "reached": reached,
            "needed": curve.needed(reached) if reached > 0 else None,
        }
        for curve in curves
    ]


def _lists(curve: Any) -> tuple[list[float], list[float]]:
    return curve.hypotheses.tolist(), curve.recall.tolist()


def _no_matches() -> Matches:
    import torch

    from eqcli.models.pointcloud.matches import Matches

    none = torch.zeros(0, 3, dtype=torch.float64)
    return Matches.of(none, none)
