"""The figures of a docking method over many complexes: what stands in one row of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from eqcli.metrics.method_figures import Column, PairFigures, figures_of, numbers

NEAR: Final = 2.0
"""Å. A pose whose RMSD is below counts as found."""
FAR: Final = 5.0
"""Å. A pose whose RMSD is below counts as in the right place."""

QUARTILES: Final = {"p25": 0.25, "p50": 0.50, "p75": 0.75}

MEANINGS: Final = {
    "rmsd_p25": "RMSD of the first pose, Å: first quartile. Heavy atoms, equivalent atoms exchanged, no superposition; "
    "to the nearest copy of the ligand in the crystal",
    "rmsd_p50": "its median",
    "rmsd_p75": "its third quartile",
    "rmsd_mean": "its mean",
    "rmsd_below_2": "share of pairs whose first pose has an RMSD below 2 Å; a pair that failed is a miss",
    "rmsd_below_5": "the same below 5 Å",
    "centroid_p25": "distance between the centroids of the heavy atoms of first pose and crystal ligand, Å: first "
    "quartile",
    "centroid_p50": "its median",
    "centroid_p75": "its third quartile",
    "centroid_below_2": "share of pairs whose centroids are less than 2 Å apart; a pair that failed is a miss",
    "centroid_below_5": "the same for 5 Å",
    "kabsch_p50": "median RMSD after the best superposition, Å: how well the conformer is met, wherever it lies",
    "valid": "share of first poses that pass every check of PoseBusters but that of the RMSD; those that could not be "
    "checked in time are left out and counted, a pair that failed is a miss",
    "near_and_valid": "share of pairs whose first pose has an RMSD below 2 Å and is valid",
    "best_rmsd_p50": "median RMSD of the best pose among all that were given, Å",
    "best_rmsd_below_2": "share of pairs of which any pose has an RMSD below 2 Å",
    "best_near_and_valid": "share of pairs whose best pose has an RMSD below 2 Å and is valid",
    "clashes_mean": "mean number of clashes of the first pose with the receptor",
    "strain_p50": "median strain of the first pose, kcal/mol: MMFF94s energy above the minimum next to it",
    "seconds": "mean seconds for a pair",
}
"""What each figure is."""


@dataclass(frozen=True)
class PairOutcome:
    """What a method made of one complex; NaN and None where something is unknown.

    Attributes
    ----------
    complex, protein
        Names; complexes of one protein are drawn together.
    rmsd, centroid, kabsch
        Å, of the first pose.
    valid
        Whether the first pose passes PoseBusters.
    best_rmsd, best_valid
        The same of the pose with the lowest RMSD among `poses`.
    checked
        Whether validity was asked for at all.
    failed
        Whether there is no pose.
    """

    complex: str
    protein: str
    rmsd: float = np.nan
    centroid: float = np.nan
    kabsch: float = np.nan
    valid: bool | None = None
    best_rmsd: float = np.nan
    best_valid: bool | None = None
    poses: int = 0
    clashes: float = np.nan
    strain: float = np.nan
    seconds: float = np.nan
    checked: bool = False
    failed: bool = False


@dataclass(frozen=True)
class MethodFigures(PairFigures):
    """One row of the table; figures by the names of `MEANINGS`.

    Attributes
    ----------
    not_checked, proteins
        How many poses PoseBusters did not finish, how many proteins.
    poses
        Most poses that any pair has: the n of "best of n".
    """

    not_checked: int
    proteins: int
    poses: int


def method_figures(pairs: Sequence[PairOutcome], *, resamples: int = 1000, seed: int = 0) -> MethodFigures:
    """The row of a method; percentiles are over pairs that have a pose, in shares a failed pair is a miss."""
    proteins = [pair.protein for pair in pairs]
    figures, known = figures_of(_columns(pairs), proteins, resamples=resamples, seed=seed)
    return MethodFigures(
        figures,
        known,
        len(pairs),
        sum(pair.failed for pair in pairs),
        sum(pair.checked and not pair.failed and pair.valid is None for pair in pairs),
        len(set(proteins)),
        max((pair.poses for pair in pairs), default=0),
    )


def _columns(pairs: Sequence[PairOutcome]) -> dict[str, tuple[Column, float | None]]:
    """Figure -> values of the pairs, and which quantile it is of them; None for the mean."""
    values = _values(pairs)
    columns: dict[str, tuple[Column, float | None]] = {}
    for name in MEANINGS:
        stem, _, part = name.rpartition("_")
        columns[name] = (values[stem], QUARTILES[part]) if part in QUARTILES else (values[name], None)
    return columns


def _values(pairs: Sequence[PairOutcome]) -> dict[str, Column]:
    """Values by the name of the figure, or by its stem where the figure is a quartile."""
    rmsd, centroid, best = (numbers(pairs, name) for name in ("rmsd", "centroid", "best_rmsd"))
    failed = np.array([pair.failed for pair in pairs], dtype=bool)

    def below(values: Column, limit: float) -> Column:
        return np.where(failed, 0.0, np.where(np.isfinite(values), (values < limit).astype(np.float64), np.nan))

    return {
        "rmsd": rmsd,
        "rmsd_mean": rmsd,
        "rmsd_below_2": below(rmsd, NEAR),
        "rmsd_below_5": below(rmsd, FAR),
        "centroid": centroid,
        "centroid_below_2": below(centroid, NEAR),
        "centroid_below_5": below(centroid, FAR),
        "kabsch": numbers(pairs, "kabsch"),
        "valid": np.array([_verdict(pair, pair.valid) for pair in pairs], dtype=np.float64),
        "near_and_valid": np.array([_both(pair, pair.rmsd, pair.valid) for pair in pairs], dtype=np.float64),
        "best_rmsd": best,
        "best_rmsd_below_2": below(best, NEAR),
        "best_near_and_valid": np.array(
            [_both(pair, pair.best_rmsd, pair.best_valid) for pair in pairs], dtype=np.float64
        ),
        "clashes_mean": numbers(pairs, "clashes"),
        "strain": numbers(pairs, "strain"),
        "seconds": numbers(pairs, "seconds"),
    }


def _verdict(pair: PairOutcome, valid: bool | None) -> float:
    if not pair.checked:
        return np.nan
    if pair.failed:
        return 0.0
    return np.nan if valid is None else float(valid)


def _both(pair: PairOutcome, rmsd: float, valid: bool | None) -> float:
    """Both at once. A pose that is far off is a miss whether or not it was checked."""
    if not pair.checked:
        return np.nan
    if pair.failed:
        return 0.0
    if not np.isfinite(rmsd):
        return np.nan
    return 0.0 if rmsd >= NEAR else _verdict(pair, valid)
