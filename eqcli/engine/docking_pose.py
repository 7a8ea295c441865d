"""A pose: where a ligand was put, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
RankBy = Literal["score", "confidence", "both"]


@dataclass(frozen=True)
class PoseResult:
    """One pose of a ligand.

    Attributes
    ----------
    positions
        `[N, 3]` Å, of every atom of the ligand.
    method
        How it was made: `equibind`, `equibind-rigid`, `equibind-uncorrected`, `refined` or `physics`.
    score
        kcal/mol, lower is better: the affinity of Vina's form.
    confidence
        0 to 1, higher is better; None without a network that has learned it.
    pocket
        1 for the best pocket that was found, 2 for the next; 0 for a given box or a place that the network chose.
    strain
        kcal/mol above the free ligand; None where no force field has its parameters.
    """

    positions: FloatArray
    method: str
    score: float
    confidence: float | None = None
    pocket: int = 0
    strain: float | None = None


def ranked(poses: Sequence[PoseResult], by: RankBy) -> list[PoseResult]:
    """The poses, best first; those without a confidence are ranked by the score."""
    order = ranking([pose.score for pose in poses], [pose.confidence for pose in poses], by)
    return [poses[i] for i in order]


def ranking(scores: Sequence[float], confidences: Sequence[float | None], by: RankBy) -> list[int]:
    """Indices, best first. `both` takes the mean of the two ranks; ties go to the better score, then the earlier."""
    first = _ranks(scores)
    if by == "score" or any(value is None for value in confidences):
        merit = first
    else:
        second = _ranks([-value for value in confidences if value is not None])
        merit = second if by == "confidence" else first + second
    return sorted(range(len(scores)), key=lambda i: (merit[i], first[i], i))


def _ranks(values: Sequence[float]) -> NDArray[np.int64]:
    """0 for the least; equal values have one rank."""
    return np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)[1].astype(np.int64).reshape(-1)


def distinct(poses: Sequence[PoseResult], heavy: NDArray[np.bool_], count: int, apart: float = 1.0) -> list[PoseResult]:
    """The first `count` poses of which no two have heavy atoms within `apart` Å root mean square of each other."""
    kept: list[PoseResult] = []
    for pose in poses:
        here = pose.positions[heavy]
        far = (np.sqrt(((here - other.positions[heavy]) ** 2).sum(axis=1).mean()) >= apart for other in kept)
        if all(far):
            kept.append(pose)
        if len(kept) == count:
            break
    return kept
