"""Coverage: how much of a reference a generator reaches, and how much of what it makes is near the reference.

Xu et al. (GeoDiff) for molecules, Xie et al. (CDVAE, ICLR 2022, appendix) for crystals: near is a matter of the
structure and of the composition, each within its own cutoff of its own nearest neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.structure import FloatArray
from eqcli.metrics.crystal_elements import PROPERTIES

BoolArray = NDArray[np.bool_]

QUANTILE: Final = 0.95
"""Share of the reference that has another of itself within the cutoffs that are made from it."""

MAGPIE: Final = 22
"""Properties of elements in the published fingerprint of compositions, of which this one has 19."""

ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Cutoffs:
    """Largest distances of structures and of compositions that count as covered, and where they come from."""

    structure: float
    composition: float
    source: str


PUBLISHED: Final = {
    "mp_20": Cutoffs(0.4, 10.0, "published for mp_20"),
    "perov_5": Cutoffs(0.2, 4.0, "published for perov_5"),
    "carbon_24": Cutoffs(0.2, 4.0, "published for carbon_24"),
}


@dataclass(frozen=True)
class Prints:
    """Fingerprints of a set: structures `[S, F]` and compositions `[S, G]`; rows of NaN where there is none."""

    structure: FloatArray
    composition: FloatArray

    @property
    def present(self) -> BoolArray:
        """Which rows are there, `[S]`."""
        both = np.concatenate([self.structure, self.composition], axis=1)
        found: BoolArray = np.isfinite(both).all(axis=1)
        return found


@dataclass(frozen=True)
class Coverage:
    """Recall: share of the reference that is near something generated; precision: the other way round.

    `recalled` and `precise` say it of each structure; the means are of distances to the nearest of the other set.
    """

    recall: float
    precision: float
    recalled: BoolArray
    precise: BoolArray
    cutoffs: Cutoffs
    mean_structure_recall: float
    mean_structure_precision: float
    mean_composition_recall: float
    mean_composition_precision: float

    def as_dict(self) -> dict[str, Any]:
        """The figures alone."""
        return {key: value for key, value in asdict(self).items() if key not in ("recalled", "precise")}


def stacked(structures: Sequence[FloatArray | None], compositions: Sequence[FloatArray | None]) -> Prints:
    """Fingerprints as arrays, with NaN for those that could not be made."""
    return Prints(_stack(structures), _stack(compositions))


def coverage(generated: Prints, reference: Prints, cutoffs: Cutoffs) -> Coverage:
    """Compares two sets of fingerprints.

    Generated structures without a fingerprint count as not near; references without one are left out. Compositions
    are standardised by the reference.

    Raises
    ------
    InputError
        No reference has a fingerprint.
    """
    there, here = reference.present, generated.present
    if not there.any():
        raise InputError("no structure of the reference has a fingerprint, so nothing can be covered")
    compositions = standardised(reference.composition[there], [reference.composition[there], generated.composition])
    structures = [reference.structure[there], generated.structure]
    if not here.any():
        nothing = np.zeros(int(there.sum()), dtype=bool)
        return Coverage(0.0, 0.0, nothing, here, cutoffs, *(float("nan"),) * 4)
    s_recall, s_precision = nearest(structures[0], structures[1][here])
    c_recall, c_precision = nearest(compositions[0], compositions[1][here])
    recalled = _within(s_recall, c_recall, cutoffs)
    precise = np.zeros(len(here), dtype=bool)
    precise[here] = _within(s_precision, c_precision, cutoffs)
    means = (float(values.mean()) for values in (s_recall, s_precision, c_recall, c_precision))
    return Coverage(float(recalled.mean()), float(precise.mean()), recalled, precise, cutoffs, *means)


def calibrated(reference: Prints) -> Cutoffs:
    """Cutoffs at which 95 % of the reference have another structure of the reference near, for each kind alone.

    Raises
    ------
    InputError
        Fewer than two structures of the reference have a fingerprint.
    """
    there = reference.present
    if there.sum() < 2:
        raise InputError(
            "cutoffs of coverage are made from distances within the reference, which has fewer than two structures",
            hint="Give them: --coverage-cutoffs STRUCTURE,COMPOSITION.",
        )
    composition = standardised(reference.composition[there], [reference.composition[there]])[0]
    found = [float(np.quantile(nearest(rows, None)[0], QUANTILE)) for rows in (reference.structure[there], composition)]
    return Cutoffs(found[0], found[1], f"{QUANTILE:.0%} of the reference have another of it within them")


def standardised(by: FloatArray, rows: Sequence[FloatArray]) -> list[FloatArray]:
    """Rows in units of the spread of `by`, and scaled to the number of properties of the published fingerprint."""
    mean, spread = by.mean(axis=0), by.std(axis=0)
    spread = np.where(spread > ROUNDING * (1 + np.abs(mean)), spread, 1.0)
    scale = np.sqrt(MAGPIE / len(PROPERTIES))
    return [(each - mean) / spread * scale for each in rows]


def nearest(rows: FloatArray, others: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Distance of each row to the nearest of the others, and of each of those to the nearest row.

    Without others: to the nearest of the other rows.
    """
    from scipy.spatial.distance import cdist

    columns = rows if others is None else others
    there = np.empty(len(rows))
    back = np.full(len(columns), np.inf)
    for first in range(0, len(rows), 1024):
        gaps = cdist(rows[first : first + 1024], columns)
        if others is None:
            np.fill_diagonal(gaps[:, first:], np.inf)
        there[first : first + 1024] = gaps.min(axis=1)
        np.minimum(back, gaps.min(axis=0), out=back)
    return there, back


def _within(structure: FloatArray, composition: FloatArray, cutoffs: Cutoffs) -> BoolArray:
    found: BoolArray = (structure <= cutoffs.structure + ROUNDING) & (composition <= cutoffs.composition + ROUNDING)
    return found


def _stack(rows: Sequence[FloatArray | None]) -> FloatArray:
    width = next((len(row) for row in rows if row is not None), 1)
    return np.array([np.full(width, np.nan) if row is None else row for row in rows]).reshape(len(rows), width)
