"""Rows of an evaluation of registration: of single pairs, of methods, and of curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import Failure
from eqcli.metrics.registration.recall import RULES
from eqcli.metrics.registration.table import PairOutcome, binned_recall, method_figures
from eqcli.tasks.evaluate_registration_result import MethodRow, RegistrationEvaluation
from eqcli.tasks.evaluate_registration_run import NONE, OWN, Registered

if TYPE_CHECKING:
    from eqcli.report.cloud_scene import ShownMatches

FloatArray = NDArray[np.float64]

OVERLAPS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
ANGLES: Final = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
"""Edges of the bins of both curves; degrees."""

LINES: Final = 300
"""Matches of each kind that are kept for pictures."""


@dataclass(frozen=True)
class PairRecord:
    """What is kept of one pair and one method after its clouds are let go.

    Attributes
    ----------
    outcome
        None where the truth is unknown.
    motion
        `[4, 4]` from the source as methods were given it, or None.
    matches
        Some of them, for pictures.
    row
        Of `pairs.csv`.
    """

    pair: str
    method: str
    refinement: str
    outcome: PairOutcome | None
    overlap: float
    angle: float
    unit: str
    symmetric: bool
    row: dict[str, Any]
    motion: FloatArray | None = None
    matches: ShownMatches | None = None


def record_of(one: Registered) -> PairRecord:
    """What is kept of a pair and a method."""
    case = one.case
    overlap, angle = (np.nan if value is None else float(value) for value in (case.overlap, case.angle))
    return PairRecord(
        case.pair.name,
        one.method,
        one.refinement,
        None if case.pair.truth is None else one.outcome(),
        overlap,
        angle,
        unit_of(one),
        _symmetric(one),
        pair_row(one),
        None if one.answer is None else one.answer.motion,
        _matches(one),
    )


def unit_of(one: Registered) -> str:
    """What lengths of a pair are told in."""
    return "voxels" if one.case.limits.metre is None else "m"


def _symmetric(one: Registered) -> bool:
    symmetries = one.case.pair.symmetries
    return symmetries is not None and len(symmetries) > 0


def _matches(one: Registered) -> ShownMatches | None:
    """A part of the matches; inliers are those that the method believes."""
    from eqcli.report.cloud_scene import ShownMatches

    answer = one.answer
    if answer is None or answer.source is None or answer.target is None or not len(answer.source):
        return None
    kinds = np.zeros(len(answer.source), dtype=bool) if answer.inliers is None else answer.inliers
    return ShownMatches.of(answer.source, answer.target, kinds).thinned(LINES, np.random.default_rng(0))


def pair_row(one: Registered) -> dict[str, Any]:
    """What `pairs.csv` says of one pair and one method; lengths in the column `unit`."""
    case, limits = one.case, one.case.limits
    outcome, answer = one.outcome(), one.answer
    status = "failed" if answer is None else "no truth" if case.pair.truth is None else "ok"
    row: dict[str, Any] = {
        "pair": case.pair.name,
        "scene": case.pair.scene,
        "method": one.method,
        "refinement": one.refinement,
        "status": status,
        "reason": one.failure or ("; ".join(answer.reasons) if answer is not None else ""),
        "rre": _finite(outcome.rotation),
        "rte": _finite(outcome.translation),
        "displacement": _finite(outcome.displacement),
        "rmse": _finite(outcome.rmse),
        "rmse_by_gt_info": _finite(one.published / limits.unit),
        "unit": unit_of(one),
    }
    # In shares a pair that failed is a miss, and so it is told here.
    row |= {f"found_{rule}": False if outcome.failed else outcome.found.get(rule) for rule in RULES}
    if case.pair.truth is None:
        row |= {f"found_{rule}": None for rule in RULES}
    return row | {
        "reliable": None if answer is None else answer.reliable,
        "matches": None if answer is None or answer.source is None else len(answer.source),
        "inlier_ratio": _finite(one.inlier_ratio),
        "hypotheses": None if answer is None else answer.hypotheses,
        "seconds": _finite(one.seconds),
        "overlap": None if case.overlap is None else _finite(case.overlap),
        "angle": None if case.angle is None else _finite(case.angle),
        "symmetries": 0 if case.pair.symmetries is None else len(case.pair.symmetries),
        "voxel": limits.voxel,
        "recall_distance": limits.distance,
        "inlier_distance": limits.inlier,
        "source": str(case.pair.source),
        "target": str(case.pair.target),
        "notes": "; ".join(case.notes),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def failures_of(registered: Sequence[Registered]) -> list[Failure]:
    """A row for each pair on which a method failed; what fails without refinement is told once."""
    found: list[Failure] = []
    told: set[tuple[str, str]] = set()
    for one in registered:
        key = (one.method, one.failure)
        if one.failure and key not in told:
            told.add(key)
            words = one.method if one.refinement in (NONE, OWN) else f"{one.method}, refinement {one.refinement}"
            found.append(Failure(f"{one.case.pair.name}, {words}", one.failure))
    return found


def add_figures(
    result: RegistrationEvaluation, records: Sequence[PairRecord], *, rule: str, bootstrap: int, seed: int
) -> None:
    """The rows of methods and the curves, over the pairs whose truth is known."""
    known = [one for one in records if one.outcome is not None]
    kinds = list(dict.fromkeys((one.method, one.refinement) for one in known))
    result.rule = rule
    result.unit = "m" if all(one.unit == "m" for one in known) else "voxels"
    result.curves |= {"overlap": [], "angle": []}
    if len({one.unit for one in known}) > 1:
        result.warnings.append(
            "some pairs are measured in metres and some in voxels: RTE are told in the unit of each pair, and their "
            "means say little. Give --lengths"
        )
    for method, refinement in kinds:
        mine = [one for one in known if (one.method, one.refinement) == (method, refinement)]
        outcomes = [one.outcome for one in mine if one.outcome is not None]
        figures = method_figures(outcomes, rule=rule, resamples=bootstrap, seed=seed)
        result.methods.append(MethodRow(method, refinement, figures))
        marks = np.array([_mark(outcome, rule) for outcome in outcomes], dtype=np.float64)
        for name, edges in (("overlap", OVERLAPS), ("angle", ANGLES)):
            values = np.array([getattr(one, name) for one in mine], dtype=np.float64)
            bins = [list(row) for row in binned_recall(values, marks, edges)]
            result.curves[name].append({"method": method, "refinement": refinement, "bins": bins})


def _mark(outcome: PairOutcome, rule: str) -> float:
    if outcome.failed:
        return 0.0
    found = outcome.found.get(rule)
    return np.nan if found is None else float(found)


def count(result: RegistrationEvaluation, records: Sequence[PairRecord], unread: int) -> None:
    """How many pairs there are of which kind, and the rows of the table of pairs."""
    first = {one.pair: one for one in records}
    result.counts = {
        "pairs": sum(one.outcome is not None for one in first.values()),
        "scenes": len({one.row["scene"] for one in first.values() if one.outcome is not None}),
        "without_truth": sum(one.outcome is None for one in first.values()),
        "symmetric": sum(one.symmetric for one in first.values()),
        "metric": sum(one.unit == "m" for one in first.values()),
        "failed": unread,
    }
    result.pairs = [one.row for one in records]
