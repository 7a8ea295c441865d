"""What the registration of two clouds ends with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.engine.registration_ambiguity import Alternative
from eqcli.engine.registration_evidence import Evidence
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.matches import Matches


@dataclass(frozen=True)
class Registered:
    """The motion between two clouds and what speaks for it.

    Attributes
    ----------
    motion
        float64, source points onto target points. Of no meaning where it is not reliable.
    reliable
        Whether the motion is believed.
    evidence
        Why.
    covariance
        `[6, 6]` of a perturbation (translation, rotation vector) on the left, in the target's frame; infinite on
        the diagonal where the surfaces do not determine the motion.
    matches
        Between the thinned clouds; empty where none were used.
    inliers
        `[M]`, those that agree with the motion.
    ambiguities
        What is left open, in words.
    alternatives
        Other motions that fit alike.
    seconds
        By stage.
    method, solver, refinement
        What was used.
    """

    motion: Motion
    reliable: bool
    evidence: Evidence
    covariance: Tensor
    matches: Matches
    inliers: Tensor
    ambiguities: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    seconds: dict[str, float]
    method: str
    solver: str
    refinement: str


def no_matches() -> Matches:
    """Where none were used, or found."""
    return Matches.of(torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3, dtype=torch.float64))
