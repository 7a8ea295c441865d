"""Weighted least squares on all matches: exact without outliers, and no protection against them.

Kabsch, Acta Cryst. A 32, 922 (1976).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eqcli.errors import InputError
from eqcli.models.pointcloud.hypotheses import fitted, polished
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.solved import Solved, assembled


@dataclass(frozen=True)
class Procrustes:
    """The one motion of all matches.

    Parameters
    ----------
    rounds
        How often the fit is repeated on its own inliers; 0 fits all matches once.
    """

    rounds: int = 0

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """One hypothesis; `generator` is not used. Raises InputError for matches that do not determine it."""
        matches = checked(matches, threshold)
        motion = fitted(matches, matches.weights)
        if motion is None:
            raise InputError("the matches do not determine a rotation", hint="Give matches that fill space.")
        motion = polished(motion, matches, threshold, rounds=self.rounds)
        return assembled(motion, matches, threshold, hypotheses=1)
