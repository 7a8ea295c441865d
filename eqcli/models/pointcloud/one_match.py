"""Every match alone is a hypothesis: its own rotation, and the translation that brings its points together.

Yao et al., "PARE-Net", ECCV 2024, section 3.4: features that turn with the cloud give a rotation for each match.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.solved import Solved, chosen


@dataclass(frozen=True)
class OneMatch:
    """Scores the motion of each match, the most trusted first.

    Parameters
    ----------
    limit
        Hypotheses at most; matches of equal weight are taken in their order.
    rounds
        Rounds of weighted Procrustes on the inliers of the best.
    """

    limit: int = 2000
    rounds: int = 5

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """`min(limit, M)` hypotheses; `generator` is not used. One match is enough.

        Raises
        ------
        InputError
            Matches without rotations, and as :func:`checked` says.
        """
        if matches.rotations is None:
            hint = "Use a method whose features turn with the cloud (pare-net, ume), or the solver 'clique'."
            raise InputError("the solver 'one-match' needs matches that carry rotations", hint=hint)
        matches = checked(matches, threshold, least=1)
        return chosen(one_match_motions(matches, self.limit), matches, threshold, rounds=self.rounds)


def one_match_motions(matches: Matches, limit: int) -> Motion:
    """The motions of the `limit` most trusted matches, `[H]`: t = y - R x."""
    if matches.rotations is None:
        raise InputError("these matches carry no rotations")
    order = torch.argsort(matches.weights, descending=True, stable=True)[:limit]
    turn = matches.rotations[order]
    shift = matches.target[order] - (turn @ matches.source[order].unsqueeze(-1)).squeeze(-1)
    return Motion(turn, shift)
