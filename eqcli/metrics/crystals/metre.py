"""METRe: how many references anything that was generated matches (match everyone to the reference).

Whatever was made for another target counts too, so a data set with many polymorphs of one composition is judged by
whether they are found, and not by which was found for which (arXiv 2509.12178).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import Composition, composition_of, require_pymatgen
from eqcli.metrics.crystals.matching import PUBLISHED, Match, Tolerances, match_pair
from eqcli.metrics.crystals.pairing import Sameness, buckets
from eqcli.metrics.crystals.prediction import MOST_SITES
from eqcli.metrics.crystals.reduction import Reduced, reduced
from eqcli.metrics.work import Outcome, measure
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
    known: Mapping[tuple[int, int], float | None] | None = None,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> Metre:
    """Matches every reference with the generated crystals of its composition, whatever they were made for.

    Parameters
    ----------
    known
        RMSE, or None for no match, of pairs (reference, generated crystal) that were compared before with the same
        tolerances, as from :meth:`PredictionScores.matches`: they are not compared again.

    Raises
    ------
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    options = {"workers": workers, "timeout": timeout, "report": report}
    before = known or {}
    rule = Sameness(tolerances, None, most_compared)
    pairs, cut = _pairs(references, generated, before, rule, most_sites, options)
    missing = [pair for pair in pairs if pair not in before]
    outcomes: list[Outcome[Match | None]] = []
    if missing:
        compare = partial(_match, tolerances=tolerances)
        items = [(generated[index], references[row]) for row, index in missing]
        outcomes = measure(compare, items, label="matching references", **options)  # type: ignore[arg-type]
    now = {pair: outcome.value.rmse if outcome.value else None for pair, outcome in zip(missing, outcomes, strict=True)}
    rmses = {pair: now[pair] if pair in now else before[pair] for pair in pairs}
    failed = sum(outcome.failure is not None for outcome in outcomes)
    return _best(len(references), rmses, tolerances, cut, failed)


def _pairs(
    references: Sequence[Structure],
    generated: Sequence[Structure],
    known: Container[tuple[int, int]],
    rule: Sameness,
    most_sites: int,
    options: dict[str, Any],
) -> tuple[list[tuple[int, int]], int]:
    """References and generated crystals to compare, and for how many references only the nearest were taken."""
    candidates = _of_equal_composition(references, generated)
    limit = len(generated) if rule.most_compared is None else rule.most_compared
    pairs: list[tuple[int, int]] = []
    rows: list[int] = []
    for row, some in enumerate(candidates):
        # Where every candidate is known there is nothing to choose, so nothing needs to be reduced.
        if len(some) <= limit and all((row, index) in known for index in some):
            pairs += [(row, index) for index in some]
        else:
            rows.append(row)
    places = sorted({index for row in rows for index in candidates[row]})
    found = buckets(_reduced([generated[index] for index in places], options), range(len(places)))
    cut = 0
    for row, query in zip(rows, _reduced([references[row] for row in rows], options), strict=True):
        if query is None or query.bucket not in found or len(query.numbers) > most_sites:
            continue
        nearest, some_left = found[query.bucket].nearest(query, rule)
        cut += some_left
        pairs += [(row, places[place]) for place in nearest]
    return pairs, cut


def _of_equal_composition(references: Sequence[Structure], generated: Sequence[Structure]) -> list[list[int]]:
    """For each reference the indices of the generated crystals that may match it."""
    places: dict[Composition, list[int]] = defaultdict(list)
    for index, structure in enumerate(generated):
        places[composition_of(structure.numbers)].append(index)
    return [places.get(composition_of(reference.numbers), []) for reference in references]


def _reduced(structures: list[Structure], options: dict[str, Any]) -> list[Reduced | None]:
    if not structures:
        return []
    outcomes: list[Outcome[Reduced]] = measure(reduced, structures, label="reducing", **options)
    return [outcome.value for outcome in outcomes]


def _match(pair: tuple[Structure, Structure], tolerances: Tolerances) -> Match | None:
    return match_pair(*pair, tolerances)


def _best(
    count: int, rmses: Mapping[tuple[int, int], float | None], tolerances: Tolerances, cut: int, failed: int
) -> Metre:
    matches: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (row, index), rmse in rmses.items():
        if rmse is not None:
            matches[row].append((rmse, index))
    best = [min(matches[row], default=None) for row in range(count)]
    values = np.array([np.nan if b is None else b[0] for b in best], dtype=np.float64)
    return Metre(values, [None if b is None else b[1] for b in best], tolerances, cut, failed)
