"""How many hypotheses a solver needs: the share of pairs that it solves against the number of motions it scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.metrics.registration.errors import FloatArray, mean_displacement, nearest_truth
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.solving import Solver, make_solver

LIMITS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Hypotheses at which curves are drawn."""

CURVES: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "one-match": ("one-match", {}),
    "ransac": ("ransac", {"confidence": 1.0, "edge_ratio": 0.0}),
    "ransac-edges": ("ransac", {"confidence": 1.0}),
}
"""Curves by name: the solver and its settings, without early stop.

'ransac' scores every triple that is drawn, as figures in the literature count. 'ransac-edges' drops triples whose
edges differ before they are scored and counts what is left: where matches are accurate, that is far fewer.
"""


@dataclass(frozen=True)
class MatchedPair:
    """The matches of one pair of clouds, with the answer.

    Attributes
    ----------
    points
        `[N, 3]` of the source, by whose mean displacement a motion is judged.
    truth
        `[4, 4]`.
    threshold
        Inlier threshold of the solver.
    distance
        A motion counts as found below this mean displacement (PARE-Net's rule: two inlier thresholds).
    symmetries
        `[S, 4, 4]`, motions of the target's frame that leave the object as it is.
    """

    matches: Matches
    points: FloatArray
    truth: FloatArray
    threshold: float
    distance: float
    symmetries: FloatArray | None = None

    def found(self, motion: Motion) -> bool:
        """Whether a motion counts as the truth, or as the truth after a symmetry."""
        estimate = motion.matrix().detach().cpu().numpy().astype(np.float64)
        nearest = nearest_truth(estimate, self.truth, self.symmetries, self.points)
        return mean_displacement(estimate, nearest, self.points) < self.distance


@dataclass(frozen=True)
class RecallCurve:
    """Success against the number of hypotheses.

    Attributes
    ----------
    solver
        A name of `CURVES`.
    limits
        Hypotheses allowed, `[L]`, rising.
    found
        `[L, P]`: whether each pair was solved. A pair whose matches the solver refuses counts as not solved.
    scored
        `[L, P]`: motions that were scored indeed; fewer where matches ran out.
    """

    solver: str
    limits: tuple[int, ...]
    found: NDArray[np.bool_]
    scored: NDArray[np.int64]

    @property
    def recall(self) -> FloatArray:
        """Share of pairs that were solved at each limit, `[L]`."""
        return self.found.mean(axis=1)

    @property
    def hypotheses(self) -> FloatArray:
        """Motions scored for each pair, on average, at each limit, `[L]`."""
        return self.scored.mean(axis=1)

    def needed(self, recall: float) -> float:
        """Motions per pair at which the curve first reaches a recall; infinite where it never does.

        Between two limits the logarithm of the number is interpolated.
        """
        for place, value in enumerate(self.recall):
            if value < recall:
                continue
            here = float(self.hypotheses[place])
            if place == 0:
                return here
            before, low = float(self.recall[place - 1]), float(self.hypotheses[place - 1])
            share = (recall - before) / (value - before)
            return float(math.exp(math.log(max(low, 1.0)) * (1 - share) + math.log(max(here, 1.0)) * share))
        return math.inf

    def as_dict(self) -> dict[str, object]:
        """As plain data, for files and plots."""
        return {
            "solver": self.solver,
            "limits": list(self.limits),
            "recall": self.recall.tolist(),
            "hypotheses": self.hypotheses.tolist(),
        }


def recall_curve(
    pairs: Sequence[MatchedPair], solver: str, limits: Sequence[int] = LIMITS, *, seed: int = 0, rounds: int = 5
) -> RecallCurve:
    """Solves each pair anew with each limit, and counts.

    All polish their best hypotheses alike.

    Parameters
    ----------
    solver
        A name of `CURVES`.
    limits
        Hypotheses allowed.
    seed
        Of the draws; a pair's draws do not depend on the other pairs.

    Raises
    ------
    InputError
        For another solver, without pairs or limits, and for limits below 1.
    """
    if solver not in CURVES:
        raise InputError(f"the number of hypotheses of '{solver}' cannot be set", hint=f"Curves: {', '.join(CURVES)}.")
    if not pairs or not limits or min(limits) < 1:
        raise InputError("a curve needs at least one pair and limits of at least 1")
    rising = tuple(sorted(set(limits)))
    found = np.zeros((len(rising), len(pairs)), dtype=np.bool_)
    scored = np.zeros((len(rising), len(pairs)), dtype=np.int64)
    for row, limit in enumerate(rising):
        name, settings = CURVES[solver]
        made = make_solver(name, limit=limit, rounds=rounds, **settings)
        for column, pair in enumerate(pairs):
            found[row, column], scored[row, column] = _solved(made, pair, seed + column)
    return RecallCurve(solver, rising, found, scored)


def _solved(solver: Solver, pair: MatchedPair, seed: int) -> tuple[bool, int]:
    try:
        result = solver.solve(pair.matches, pair.threshold, torch.Generator().manual_seed(seed))
    except InputError:
        return False, 0
    return pair.found(result.motion), result.hypotheses
