"""The candidates of one composition in the order of how like the others they are.

A generator that is right comes to the same crystal again and again, while its errors differ: the candidate that is
nearest to all others is more often right than any one drawn first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, islice
from math import fsum, nan
from typing import Any

import numpy as np

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import require_pymatgen
from eqcli.metrics.crystals.matching import STRICT, Tolerances
from eqcli.metrics.crystals.pairing import ROUNDING
from eqcli.metrics.crystals.reduction import Reduced, reduced
from eqcli.metrics.crystals.work import measure
from eqcli.progress import Reporter

DIGITS = 6
"""Of distances; two descriptions of one crystal differ by less, and their order decides."""
REDUCTION = 10.0
"""Seconds, at most, for the reduction of one candidate."""
MOST_SLENDER = 1e5
"""Of cells: the cube of the longest vector over the volume. Reduction looks at about as many points of the lattice."""


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands among those of its group.

    Attributes
    ----------
    rank
        From 1, the candidate that is most like the others.
    distance
        Mean over the other candidates of the matcher's RMSE, in units of (V/N)^(1/3), `stol` for each that it does
        not match. NaN where nothing was compared: it is alone, or its group failed and keeps its order.
    """

    rank: int
    distance: float


def consensus(
    groups: Sequence[Sequence[Structure]],
    tolerances: Tolerances = STRICT,
    *,
    workers: int | None = None,
    timeout: float | None = 60.0,
    report: Reporter | None = None,
) -> list[list[Standing]]:
    """The standing of every candidate, in the order of the groups and of the candidates in each.

    Every two candidates of a group are compared, so that the work grows with the square of their number. Candidates
    that are no crystals, or whose absurdly long cells cannot be reduced, match nothing and stand
    last; equal distances keep the order of the group.

    Parameters
    ----------
    groups
        Candidates that stand for one another, such as the structures predicted for one composition.
    workers
        Processes; None for one per core.
    timeout
        Seconds for all comparisons of one group; of it, up to 10 s for the reduction of one candidate before.

    Raises
    ------
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    several = [place for place, group in enumerate(groups) if len(group) > 1]
    candidates = [structure for place in several for structure in groups[place]]
    brief = REDUCTION if timeout is None else min(timeout, REDUCTION)
    each = measure(_reduced, candidates, workers=workers, timeout=brief, label="reducing", report=report)
    crystals = (outcome.value for outcome in each)
    rank, items = partial(_standings, tolerances=tolerances), [list(islice(crystals, len(groups[p]))) for p in several]
    outcomes = measure(rank, items, workers=workers, timeout=timeout, label="ranking", report=report)
    found = {place: outcome.value for place, outcome in zip(several, outcomes, strict=True)}
    return [found.get(place) or _as_given(len(group)) for place, group in enumerate(groups)]


def _as_given(count: int) -> list[Standing]:
    return [Standing(rank, nan) for rank in range(1, count + 1)]


def _reduced(structure: Structure) -> Reduced:
    if np.linalg.norm(structure.cell, axis=1).max() ** 3 > MOST_SLENDER * structure.volume:
        raise ValueError("its cell is too long for its volume")
    return reduced(structure)


def _standings(crystals: Sequence[Reduced | None], tolerances: Tolerances) -> list[Standing]:
    apart = _distances(crystals, tolerances)
    means = [round(fsum(row) / (len(crystals) - 1), DIGITS) for row in apart]
    order = sorted(range(len(crystals)), key=lambda place: (crystals[place] is None, means[place]))
    ranks = {place: rank for rank, place in enumerate(order, start=1)}
    return [Standing(ranks[place], mean) for place, mean in enumerate(means)]


def _distances(crystals: Sequence[Reduced | None], tolerances: Tolerances) -> list[list[float]]:
    """The distance of each candidate from each other one, `stol` where they do not match."""
    apart = [[0.0 if i == j else tolerances.stol for j in range(len(crystals))] for i in range(len(crystals))]
    built = [(place, crystal, crystal.crystal()) for place, crystal in enumerate(crystals) if crystal is not None]
    # The matcher is not quite symmetric: which of two comes first must not depend on their order in the group.
    built.sort(key=lambda entry: (*entry[1].lengths.tolist(), *entry[1].fingerprint.ravel().tolist()))
    matcher = _matcher_of_reduced(tolerances)
    for (i, first, one), (j, second, other) in combinations(built, 2):
        if _may_match(first, second, tolerances):
            apart[i][j] = apart[j][i] = _rmse(matcher, one, other, tolerances.stol)
    return apart


def _may_match(first: Reduced, second: Reduced, tolerances: Tolerances) -> bool:
    """As in :meth:`eqcli.metrics.crystals.pairing.Bucket.nearest`: false only where the matcher finds nothing."""
    longest = second.lengths * (1 + tolerances.ltol) + ROUNDING
    return first.bucket == second.bucket and bool((first.lengths <= longest).all())


@lru_cache
def _matcher_of_reduced(tolerances: Tolerances) -> Any:
    """The matcher of :func:`eqcli.metrics.crystals.matching.matcher_of` for crystals that are primitive already."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    ltol, stol, angle_tol = tolerances.ltol, tolerances.stol, tolerances.angle_tol
    return StructureMatcher(ltol=ltol, stol=stol, angle_tol=angle_tol, primitive_cell=False)


def _rmse(matcher: Any, one: Any, other: Any, otherwise: float) -> float:
    """The RMSE, or `otherwise` for no match; the library may give up on a pair, and the others are still ranked."""
    try:
        found = matcher.get_rms_dist(one, other)
    except Exception:
        return otherwise
    return otherwise if found is None else float(found[0])
