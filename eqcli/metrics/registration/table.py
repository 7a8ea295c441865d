"""The figures of a registration method over many pairs of clouds: what stands in one row of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eqcli.metrics.method_figures import Column, PairFigures, figures_of, numbers
from eqcli.metrics.registration.recall import INFORMATION, MATCH, PARE, RULES

MEANINGS: Final = {
    MATCH: "recall by the rule of 3DMatch: share of pairs whose root mean square distance over the true matches is at "
    "most the recall distance",
    INFORMATION: "recall by the matrices of gt.info, which the benchmark of 3DMatch takes for these distances; of "
    "pairs that have one",
    PARE: "recall by the rule of PARE-Net: share of pairs whose points are displaced from the truth by less than the "
    "recall distance in the mean",
    "kitti-loose": "recall by the rule of KITTI, 5 degrees and 2 m",
    "kitti-strict": "the same, 1.5 degrees and 0.3 m",
    "kitti-finest": "the same, 1 degree and 0.1 m",
    "feature_recall": "feature matching recall: share of pairs of whose matches more than the threshold are right, "
    "each within the inlier distance under the truth",
    "inlier_ratio": "mean share of matches that are right",
    "rre_mean": "mean error of rotation (RRE), degrees, over pairs that count as found by the chosen rule",
    "rre_p50": "its median, over the same pairs",
    "rte_mean": "mean error of translation (RTE), over the same pairs",
    "rte_p50": "its median, over the same pairs",
    "vouched": "share of pairs for which the method says that its motion is reliable; not of methods that say nothing",
    "vouched_found": "share of pairs that are found by the chosen rule and said to be reliable",
    "vouched_wrong": "share of pairs that are said to be reliable and not found: false alarms the other way",
    "hypotheses_p50": "median number of motions that were tried",
    "seconds": "mean seconds for a pair: features, matches, solver and refinement, without reading files",
}
"""What each figure is. In shares a pair that failed is a miss."""

SHARES: Final = (*RULES, "feature_recall", "vouched", "vouched_found", "vouched_wrong")
"""Figures in which a pair that failed counts as no."""


@dataclass(frozen=True)
class PairOutcome:
    """What a method made of one pair whose truth is known; NaN and None where something is unknown.

    Attributes
    ----------
    pair, scene
        Names; pairs of one scene are drawn together.
    rotation, translation
        Errors to the nearest truth: degrees, and metres or voxels.
    displacement, rmse
        Mean over the points of the source, and root mean square over the true matches, in the same unit.
    found
        Rule -> whether the motion counts as found.
    inlier_ratio
        Of the matches; NaN for methods that show none.
    matching
        Whether it is above the threshold.
    reliable
        What the method itself says of its motion.
    failed
        Whether there is no motion.
    """

    pair: str
    scene: str
    rotation: float = np.nan
    translation: float = np.nan
    displacement: float = np.nan
    rmse: float = np.nan
    found: dict[str, bool | None] = field(default_factory=dict)
    inlier_ratio: float = np.nan
    matching: bool | None = None
    reliable: bool | None = None
    hypotheses: float = np.nan
    seconds: float = np.nan
    failed: bool = False


@dataclass(frozen=True)
class MethodFigures(PairFigures):
    """One row of the table; figures by the names of `MEANINGS`."""

    scenes: int


def method_figures(
    pairs: Sequence[PairOutcome], *, rule: str = MATCH, resamples: int = 1000, seed: int = 0
) -> MethodFigures:
    """The row of a method; intervals are over scenes, or over pairs where all are of one scene.

    Parameters
    ----------
    rule
        Of `RULES`: by which errors are those of found pairs.
    """
    figures, known = figures_of(_columns(pairs, rule), groups(pairs), resamples=resamples, seed=seed)
    failed = sum(pair.failed for pair in pairs)
    return MethodFigures(figures, known, len(pairs), failed, len({pair.scene for pair in pairs}))


def groups(pairs: Sequence[PairOutcome]) -> list[str]:
    """What is drawn together: scenes, or each pair by itself where there is one scene alone."""
    scenes = [pair.scene for pair in pairs]
    return scenes if len(set(scenes)) > 1 else [pair.pair for pair in pairs]


def _columns(pairs: Sequence[PairOutcome], rule: str) -> dict[str, tuple[Column, float | None]]:
    """Figure -> values of the pairs, and which quantile it is of them; None for the mean."""
    failed = np.array([pair.failed for pair in pairs], dtype=bool)
    found = _marks([pair.found.get(rule) for pair in pairs], failed)
    said = [pair.reliable for pair in pairs]
    says = any(one is not None for one in said)
    vouched = _marks(said, failed) if says else np.full(len(pairs), np.nan)
    rotation, translation = (np.where(found == 1, numbers(pairs, name), np.nan) for name in ("rotation", "translation"))
    matching = [pair.matching for pair in pairs]
    # A method that failed before it had matches has none; where no pair has any, the method shows none at all.
    features = _marks(matching, failed) if any(one is not None for one in matching) else np.full(len(pairs), np.nan)
    return {
        **{name: (_marks([pair.found.get(name) for pair in pairs], failed), None) for name in RULES},
        "feature_recall": (features, None),
        "inlier_ratio": (numbers(pairs, "inlier_ratio"), None),
        "rre_mean": (rotation, None),
        "rre_p50": (rotation, 0.5),
        "rte_mean": (translation, None),
        "rte_p50": (translation, 0.5),
        "vouched": (vouched, None),
        "vouched_found": (vouched * found, None),
        "vouched_wrong": (vouched * (1 - found), None),
        "hypotheses_p50": (numbers(pairs, "hypotheses"), 0.5),
        "seconds": (numbers(pairs, "seconds"), None),
    }


def _marks(values: Sequence[bool | None], failed: NDArray[np.bool_]) -> Column:
    """1 and 0, NaN where unknown; what failed is 0."""
    marks = np.array([np.nan if one is None else float(one) for one in values], dtype=np.float64)
    return np.where(failed, 0.0, marks)


def binned_recall(values: Column, found: Column, edges: Sequence[float]) -> list[tuple[float, float, float, int]]:
    """Recall of the pairs whose value (overlap, angle) lies in each bin: (low, high, share, pairs), without empty bins.

    `found` is 1 or 0 for each pair; NaN values and NaN marks are left out. The last bin has its upper edge.
    """
    known = np.isfinite(values) & np.isfinite(found)
    rows = []
    for k, (low, high) in enumerate(pairwise(edges)):
        inside = known & (values >= low) & ((values <= high) if k == len(edges) - 2 else (values < high))
        if inside.any():
            rows.append((float(low), float(high), float(found[inside].mean()), int(inside.sum())))
    return rows
