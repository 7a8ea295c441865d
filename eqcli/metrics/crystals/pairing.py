"""Which crystals are worth comparing: the matcher takes milliseconds for each pair, and most pairs cannot match."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.metrics.crystals.matching import STRICT, Tolerances
from eqcli.metrics.crystals.reduction import Reduced

MOST_COMPARED = 50
"""Crystals that one is compared with: those of nearest fingerprint. Buckets of most data sets are smaller."""
ROUNDING = 1e-6


@dataclass(frozen=True)
class Sameness:
    """When two crystals count as one.

    Attributes
    ----------
    tolerances
        Of the matcher, which scales both to one volume.
    volume_ratio
        Volumes per atom that differ by more than this factor are never the same; None: the volume is ignored, as in
        the published figures.
    most_compared
        With how many others a crystal is compared, nearest first; None: with all that may match.
    """

    tolerances: Tolerances = STRICT
    volume_ratio: float | None = None
    most_compared: int | None = MOST_COMPARED

    def as_dict(self) -> dict[str, Any]:
        """What a report records."""
        return {
            **self.tolerances.as_dict(),
            "volume_ratio": self.volume_ratio,
            "most_compared": self.most_compared,
        }


class Bucket:
    """Crystals of one composition and number of primitive sites, in arrays.

    `indices` are what the crystals are known by outside.
    """

    def __init__(self, indices: Sequence[int], crystals: Sequence[Reduced]) -> None:
        self.indices = np.asarray(indices, dtype=np.int64)
        self.lengths = np.stack([crystal.lengths for crystal in crystals])
        self.volumes = np.array([crystal.volume_per_atom for crystal in crystals])
        self.fingerprints = np.stack([crystal.fingerprint for crystal in crystals])

    def nearest(self, query: Reduced, rule: Sameness, first: int | None = None) -> tuple[list[int], bool]:
        """Indices of those of the `first` crystals that may match `query`, nearest first; and whether some were cut.

        Nothing that the matcher would accept is left out, except by `volume_ratio` and `most_compared`: it looks for
        three independent vectors in the lattice of the other that are longer than those of the query by `1 + ltol`
        at most.
        """
        possible = (self.lengths[:first] <= query.lengths * (1 + rule.tolerances.ltol) + ROUNDING).all(axis=1)
        if rule.volume_ratio is not None:
            ratios = self.volumes[:first] / query.volume_per_atom
            possible &= np.maximum(ratios, 1 / ratios) <= rule.volume_ratio
        rows = np.flatnonzero(possible)
        apart = np.abs(self.fingerprints[rows] - query.fingerprint).mean(axis=(1, 2))
        order: NDArray[np.int64] = self.indices[rows[np.argsort(apart, kind="stable")]]
        cut = rule.most_compared is not None and len(order) > rule.most_compared
        return order[: rule.most_compared].tolist(), cut


def buckets(crystals: Sequence[Reduced | None], indices: Sequence[int]) -> dict[Hashable, Bucket]:
    """The crystals at `indices` by what must be equal for a match."""
    members: dict[Hashable, list[tuple[int, Reduced]]] = defaultdict(list)
    for index in indices:
        if (crystal := crystals[index]) is not None:
            members[crystal.bucket].append((index, crystal))
    return {key: Bucket(*zip(*found, strict=True)) for key, found in members.items()}


@dataclass(frozen=True)
class Comparison:
    """A crystal, the earlier ones it is compared with and the training ones, as indices into one list.

    `cut` says whether only the nearest were taken.
    """

    query: int
    earlier: list[int]
    known: list[int]
    cut: bool


def plan_comparisons(crystals: Sequence[Reduced | None], generated: int, rule: Sameness) -> list[Comparison]:
    """What to compare: the first `generated` crystals with one another and with those after them, of training."""
    own = buckets(crystals, range(generated))
    training = buckets(crystals, range(generated, len(crystals)))
    seen: dict[Hashable, int] = defaultdict(int)
    plan = []
    for index, query in enumerate(crystals[:generated]):
        if query is None:
            continue
        key = query.bucket
        earlier, cut = own[key].nearest(query, rule, seen[key])
        known, cut_known = training[key].nearest(query, rule) if key in training else ([], False)
        if earlier or known:
            plan.append(Comparison(index, earlier, known, cut or cut_known))
        seen[key] += 1
    return plan
