"""Motions and the evidence for them in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eqcli.geometry.motions import Motion

FloatArray = NDArray[np.float64]

NONE_RELIABLE = "no reliable alignment"


def motion_facts(motion: Motion) -> dict[str, Any]:
    """A motion as plain data: its matrix, and angle (degrees), axis and translation."""
    from eqcli.geometry.rotations import from_matrix, to_axis_angle

    axis, angle = to_axis_angle(from_matrix(motion.rotation.double()))
    return {
        "matrix": motion.matrix().double().tolist(),
        "angle": math.degrees(float(angle)),
        "axis": axis.tolist(),
        "translation": motion.translation.double().tolist(),
    }


def deviation_facts(covariance: FloatArray, points: FloatArray) -> dict[str, Any]:
    """Standard deviations of a motion about the middle of `points [M, 3]`, where it is known best.

    Parameters
    ----------
    covariance
        `[6, 6]` about the origin of the target's frame.

    Returns
    -------
    dict
        `rotation` (degrees about x, y, z), `translation`, the point `about` which they are, and the mean distance
        of the points from it as `radius`.
    """
    from eqcli.models.pointcloud.rigid_algebra import about

    middle = points.mean(0) if len(points) else np.zeros(3)
    there = np.sqrt(np.maximum(np.diag(about(covariance, -middle)), 0.0))
    return {
        "rotation": np.degrees(there[3:]).tolist(),
        "translation": there[:3].tolist(),
        "about": middle.tolist(),
        "radius": float(np.linalg.norm(points - middle, axis=1).mean()) if len(points) else 0.0,
    }


def motion_rows(facts: Mapping[str, Any], units: str) -> list[tuple[str, str]]:
    """Angle, axis, translation and matrix for people."""
    matrix = np.round(np.array(facts["matrix"]), 12) + 0.0  # Without -0 and what rounding leaves of zero.
    return [
        ("rotation", f"{facts['angle']:.4f} degrees about ({vector(facts['axis'], 5)})"),
        ("translation", f"({vector(facts['translation'], 6)}){units}"),
        ("matrix", "\n".join("  ".join(f"{value:>13.9g}" for value in row) for row in matrix)),
    ]


def deviation_rows(facts: Mapping[str, Any], units: str) -> list[tuple[str, str]]:
    """Standard deviations for people."""
    turn, shift = vector(facts["rotation"], 2), vector(facts["translation"], 2)
    middle = vector(facts["about"], 3)
    return [("standard deviations", f"{turn} degrees about x, y, z and {shift}{units} at ({middle})")]


def seconds_row(seconds: Mapping[str, float]) -> tuple[str, str]:
    """Seconds by stage for people."""
    stages = ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())
    return "seconds", f"{sum(seconds.values()):.2f} ({stages})"


def vector(values: Sequence[float], digits: int) -> str:
    """Numbers with so many digits, with commas between them."""
    return ", ".join(f"{value:.{digits}g}" for value in values)
