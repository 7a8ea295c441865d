"""Scores of structure prediction: which targets were found from their composition, and how nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.composition import DEFAULT_TABLE
from eqcli.metrics.crystals.convert import (
    composition_of,
    fault_of,
    formula_of,
    require_pymatgen,
    versions,
    volume_error,
)
from eqcli.metrics.crystals.matching import PUBLISHED, Match, Tolerances, match_pair
from eqcli.metrics.crystals.validity import Validity, validity
from eqcli.metrics.work import measure
from eqcli.progress import Reporter

Array = NDArray[np.float64]

MOST_SITES = 200
"""Atoms per cell beyond which the matcher is not called: its time grows with their cube and more."""


@dataclass(frozen=True)
class Attempt:
    """One prediction for a target.

    Attributes
    ----------
    match
        How it matches, or None.
    volume_error
        |V / V_ref - 1| per atom, whether it matches or not; None where one of the two is no crystal.
    valid
        Whether prediction and target are both valid (`Validity.valid`); None where nobody can tell.
    reason
        Why it does not match, or None.
    failed
        Whether it could not be compared at all; it counts as no match.
    """

    match: Match | None
    volume_error: float | None
    valid: bool | None
    reason: str | None
    failed: bool = False

    def rmse(self, valid_only: bool = False) -> float:
        """The RMSE; NaN where it does not match, or must be valid and is not."""
        if self.match is None or (valid_only and not self.valid):
            return float("nan")
        return self.match.rmse


@dataclass(frozen=True)
class TargetRow:
    """A target and its predictions, in their order."""

    target: int
    formula: str
    attempts: tuple[Attempt, ...]

    def best(self, k: int, valid_only: bool = False) -> Attempt | None:
        """The prediction of least RMSE among the first `k`; None where none matches."""
        matching = [a for a in self.attempts[:k] if np.isfinite(a.rmse(valid_only))]
        return min(matching, key=lambda a: a.rmse(valid_only), default=None)


@dataclass(frozen=True)
class PredictionScores:
    """Scores per target, and the figures made from them.

    The published rule counts a match only where prediction and target are both valid; what nobody can judge counts
    as not valid. Without smact no composition is judged and there are no figures by this rule.
    """

    rows: list[TargetRow]
    tolerances: Tolerances
    ks: tuple[int, ...]
    table: str

    @property
    def validity_known(self) -> bool:
        """Whether smact judged compositions, so that the published rule can be applied."""
        return versions()["smact"] is not None

    def rmse(self, k: int, valid_only: bool = False) -> Array:
        """The best RMSE among `k` predictions of each target, `[targets]`; NaN where none matches."""
        best = [row.best(k, valid_only) for row in self.rows]
        return np.array([np.nan if a is None else a.rmse(valid_only) for a in best], dtype=np.float64)

    def crmse(self, k: int, valid_only: bool = False) -> Array:
        """As `rmse`, with `stol` where none matches: what a model leaves out costs as much as the worst match."""
        values = self.rmse(k, valid_only)
        return np.where(np.isfinite(values), values, self.tolerances.stol)

    def volume_errors(self, k: int) -> Array:
        """The volume error of the best match among `k` of each target, `[targets]`; NaN where none matches."""
        best = [row.best(k) for row in self.rows]
        found = [np.nan if a is None or a.match is None else a.match.volume_error for a in best]
        return np.array(found, dtype=np.float64)

    def matches(self, places: Sequence[Sequence[int]]) -> dict[tuple[int, int], float | None]:
        """RMSE, or None for no match, of each pair that was compared, for :func:`metre`.

        `places` are for each target the numbers of its predictions in the list that METRe is asked about. A
        comparison that failed is left out.
        """
        return {
            (row.target, index): attempt.match.rmse if attempt.match else None
            for row, of_target in zip(self.rows, places, strict=True)
            for index, attempt in zip(of_target, row.attempts, strict=False)
            if not attempt.failed
        }

    def figures(self) -> dict[str, Any]:
        """All figures by k, under both rules, and what they rest on."""
        return {
            "targets": len(self.rows),
            "predictions": sum(len(row.attempts) for row in self.rows),
            "not_compared": sum(a.failed for row in self.rows for a in row.attempts),
            "by_k": {str(k): self._figures(k) for k in self.ks},
            "tolerances": self.tolerances.as_dict(),
            "oxidation_states": self.table,
            "validity_known": self.validity_known,
            "versions": versions(),
        }

    def _figures(self, k: int) -> dict[str, Any]:
        rules = {"any": False, "valid": True} if self.validity_known else {"any": False}
        by_rule: dict[str, Any] = {}
        for rule, valid_only in rules.items():
            rmse = self.rmse(k, valid_only)
            by_rule[rule] = {
                "match_rate": _mean(np.isfinite(rmse).astype(np.float64)),
                "rmse": _mean(rmse[np.isfinite(rmse)]),
                "crmse": _mean(self.crmse(k, valid_only)),
            }
        errors = self.volume_errors(k)
        return {
            **by_rule,
            "volume_error": _mean(errors[np.isfinite(errors)]),
            "targets_with_fewer_predictions": sum(len(row.attempts) < k for row in self.rows),
        }


def structure_prediction(
    targets: Sequence[Structure],
    predictions: Sequence[Sequence[Structure]],
    tolerances: Tolerances = PUBLISHED,
    *,
    ks: Sequence[int] = (1, 20),
    table: str = DEFAULT_TABLE,
    most_sites: int = MOST_SITES,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> PredictionScores:
    """Compares each target with the predictions made for it, of which the first `max(ks)` count.

    Parameters
    ----------
    predictions
        For each target, in the order in which they were made; there may be none.
    timeout
        Seconds for one comparison; beyond it there is no match, and the row says why.

    Raises
    ------
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    if len(targets) != len(predictions):
        raise ValueError(f"{len(targets)} targets but predictions for {len(predictions)}")
    kept = [list(made[: max(ks)]) for made in predictions]
    owners = [row for row, made in enumerate(kept) for _ in made]
    flat = [prediction for made in kept for prediction in made]
    compare = partial(_attempt, tolerances=tolerances, most_sites=most_sites)
    pairs = [(prediction, targets[row]) for row, prediction in zip(owners, flat, strict=True)]
    outcomes = measure(compare, pairs, workers=workers, timeout=timeout, label="matching", report=report)
    checked = validity([*targets, *flat], table=table, workers=workers, timeout=timeout, report=report)
    rows: list[list[Attempt]] = [[] for _ in targets]
    for row, outcome, found in zip(owners, outcomes, checked[len(targets) :], strict=True):
        match, error, reason, failed = outcome.value or (None, None, outcome.failure, True)
        rows[row].append(Attempt(match, error, _both(checked[row], found), reason, failed))
    formulas = [formula_of(composition_of(target.numbers)) for target in targets]
    found_rows = [TargetRow(i, formulas[i], tuple(attempts)) for i, attempts in enumerate(rows)]
    return PredictionScores(found_rows, tolerances, tuple(ks), table)


Compared = tuple[Match | None, float | None, str | None, bool]


def _attempt(pair: tuple[Structure, Structure], tolerances: Tolerances, most_sites: int) -> Compared:
    """Match, volume error, why there is no match, and whether the two could not be compared."""
    prediction, target = pair
    for what, structure in (("the prediction", prediction), ("the target", target)):
        if (fault := fault_of(structure)) is not None:
            return None, None, f"{what}: {fault}", what == "the target"
    error = volume_error(prediction, target)
    if composition_of(prediction.numbers) != composition_of(target.numbers):
        return None, error, "it has another composition", False
    if max(len(prediction), len(target)) > most_sites:
        return None, error, f"more than {most_sites} atoms in the cell: not compared", True
    match = match_pair(prediction, target, tolerances)
    return match, error, None if match else "the matcher finds no mapping", False


def _both(first: Validity, second: Validity) -> bool | None:
    if first.valid is False or second.valid is False:
        return False
    return None if first.valid is None or second.valid is None else True


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None
