"""Every match alone is a hypothesis: its own rotation, and the translation that brings its points together.

Yao et al., "PARE-Net", ECCV 2024, section 3.4: features that turn with the cloud give a rotation for each match.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.hypotheses import apart_from_another, polished_together, scored
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
    widths
        Thresholds of the rounds that every hypothesis goes through before it is scored, in multiples of the
        solver's: rotations of single matches are off by many degrees. Empty, as published, scores them as they are.
    """

    limit: int = 2000
    rounds: int = 5
    widths: tuple[float, ...] = (1.5, 1.25, 1.0, 1.0)

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
        return chosen(self._motions(matches, threshold), matches, threshold, rounds=self.rounds)

    def several(self, matches: Matches, threshold: float, count: int) -> tuple[list[tuple[Motion, int]], int]:
        """At most `count` different motions with their inliers, the best first; and how many were scored."""
        matches = checked(matches, threshold, least=1)
        motions = self._motions(matches, threshold)
        scores = scored(motions, matches, threshold)
        order = scores.soft.argsort(descending=True, stable=True)
        # Half the usual distance: a motion a little off may be the right one.
        places = apart_from_another(motions, order, matches.source.mean(0), 0.5 * threshold, count)
        return [(motions.at(place), int(scores.count[place])) for place in places], len(order)

    def _motions(self, matches: Matches, threshold: float) -> Motion:
        motions = one_match_motions(matches, self.limit)
        return polished_together(motions, matches, [width * threshold for width in self.widths])


def one_match_motions(matches: Matches, limit: int) -> Motion:
    """The motions of the `limit` most trusted matches, `[H]`: t = y - R x."""
    if matches.rotations is None:
        raise InputError("these matches carry no rotations")
    order = torch.argsort(matches.weights, descending=True, stable=True)[:limit]
    turn = matches.rotations[order]
    shift = matches.target[order] - (turn @ matches.source[order].unsqueeze(-1)).squeeze(-1)
    return Motion(turn, shift)
