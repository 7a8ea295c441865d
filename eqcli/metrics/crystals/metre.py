"""METRe: how many references anything that was generated matches (match everyone to the reference).

Whatever was made for another target counts too, so a data set with many polymorphs of one composition is judged by
whether they are found, and not by which was found for which (arXiv 2509.12178).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import require_pymatgen
from eqcli.metrics.crystals.matching import PUBLISHED, Match, Tolerances, match_pair
from eqcli.metrics.crystals.pairing import Sameness, buckets
from eqcli.metrics.crystals.prediction import MOST_SITES
from eqcli.metrics.crystals.reduction import Reduced, reduced
from eqcli.metrics.crystals.work import Outcome, measure
from eqcli.progress import Reporter

MOST_COMPARED = 20
"""Generated crystals that a reference is compared with: those of nearest fingerprint."""


@dataclass(frozen=True)
class Metre:
    """The best match of each reference.

    Attributes
    ----------
    rmse
        `[references]`; NaN where nothing matches.
    matched_by
        Index of the generated crystal, or None.
    cut
        References for which only the nearest candidates were compared: for them the rate is a lower bound.
    failed
        Comparisons that failed or took too long.
    """

    rmse: NDArray[np.float64]
    matched_by: list[int | None]
    tolerances: Tolerances
    cut: int
    failed: int

    def figures(self) -> dict[str, Any]:
        """`rate`, `rmse` over the matched references, `crmse` with `stol` for the others."""
        found = np.isfinite(self.rmse)
        full = np.where(found, self.rmse, self.tolerances.stol)
        return {
            "references": len(self.rmse),
            "rate": float(found.mean()) if len(found) else None,
            "rmse": float(self.rmse[found].mean()) if found.any() else None,
            "crmse": float(full.mean()) if len(full) else None,
            "compared_with_nearest_only": self.cut,
            "failed": self.failed,
            "tolerances": self.tolerances.as_dict(),
        }


def metre(
    references: Sequence[Structure],
    generated: Sequence[Structure],
    tolerances: Tolerances = PUBLISHED,
    *,
    most_compared: int | None = MOST_COMPARED,
    most_sites: int = MOST_SITES,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> Metre:
    """Matches every reference with the generated crystals of its composition, whatever they were made for.

    Raises
    ------
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    options = {"workers": workers, "timeout": timeout, "report": report}
    made: list[Outcome[Reduced]] = measure(reduced, generated, label="reducing", **options)  # type: ignore[arg-type]
    asked: list[Outcome[Reduced]] = measure(reduced, references, label="reducing", **options)  # type: ignore[arg-type]
    rule = Sameness(tolerances, None, most_compared)
    found = buckets([outcome.value for outcome in made], range(len(made)))
    pairs: list[tuple[int, int]] = []
    cut = 0
    for row, outcome in enumerate(asked):
        query = outcome.value
        if query is None or query.bucket not in found or len(query.numbers) > most_sites:
            continue
        nearest, some = found[query.bucket].nearest(query, rule)
        cut += some
        pairs += [(row, index) for index in nearest]
    compare = partial(_match, tolerances=tolerances)
    items = [(generated[index], references[row]) for row, index in pairs]
    outcomes = measure(compare, items, label="matching references", **options)  # type: ignore[arg-type]
    return _best(len(references), pairs, outcomes, tolerances, cut)


def _match(pair: tuple[Structure, Structure], tolerances: Tolerances) -> Match | None:
    return match_pair(*pair, tolerances)


def _best(
    count: int, pairs: list[tuple[int, int]], outcomes: list[Outcome[Match | None]], tolerances: Tolerances, cut: int
) -> Metre:
    matches: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (row, index), outcome in zip(pairs, outcomes, strict=True):
        if outcome.value is not None:
            matches[row].append((outcome.value.rmse, index))
    best = [min(matches[row], default=None) for row in range(count)]
    rmse = np.array([np.nan if b is None else b[0] for b in best], dtype=np.float64)
    failed = sum(outcome.failure is not None for outcome in outcomes)
    return Metre(rmse, [None if b is None else b[1] for b in best], tolerances, cut, failed)
