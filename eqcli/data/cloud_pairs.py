"""Pairs of clouds among files: tables, benchmark folders, and folders that the program wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CloudPair:
    """Two clouds, and perhaps the motion between them.

    Attributes
    ----------
    truth
        [4, 4]: y = R x + t brings the source onto the target; None where it is unknown.
    overlap
        Share of the source that the target has too, as stated; None where nothing is stated.
    information
        [6, 6] of (translation, vector part of the quaternion) of the error, as in `gt.info` of 3DMatch.
    symmetries
        [S, 4, 4]: motions in the target's frame that leave the complete object as it is.
    """

    name: str
    source: Path
    target: Path
    truth: Floats | None = None
    overlap: float | None = None
    information: Floats | None = None
    scene: str = ""
    symmetries: Floats | None = None
