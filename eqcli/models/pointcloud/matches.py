"""Matches of source points with target points: what every solver takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion

LINE_BELOW = 1e-6
"""Second singular value over the first below which points lie on a line."""


@dataclass(frozen=True)
class Matches:
    """Pairs of a source point and a target point that may be the same place.

    Attributes
    ----------
    source, target
        `[M, 3]`, one unit of length.
    weights
        `[M]`, not negative; 1 for equal trust. They count as inverse variances up to a common factor.
    rotations
        `[M, 3, 3]`: the rotation of the motion that each match alone suggests; None where matches are points alone.
    source_index, target_index
        `[M]`, which points of the clouds they are.
    """

    source: Tensor
    target: Tensor
    weights: Tensor
    rotations: Tensor | None
    source_index: Tensor
    target_index: Tensor

    @staticmethod
    def of(
        source: Tensor,
        target: Tensor,
        *,
        weights: Tensor | None = None,
        rotations: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Matches:
        """Point by point, or of two clouds by `index [M, 2]`; all weights 1 without `weights`."""
        if index is None:
            both = torch.arange(len(source), device=source.device)
            index = torch.stack([both, both], dim=1)
        else:
            source, target = source[index[:, 0]], target[index[:, 1]]
        weights = torch.ones_like(source[:, 0]) if weights is None else weights
        return Matches(source, target, weights, rotations, index[:, 0], index[:, 1])

    def __len__(self) -> int:
        return len(self.source)

    def taken(self, index: Tensor) -> Matches:
        """Those at `index`, a mask or places."""
        turns = None if self.rotations is None else self.rotations[index]
        source, target, weights = self.source[index], self.target[index], self.weights[index]
        return Matches(source, target, weights, turns, self.source_index[index], self.target_index[index])

    def mutual(self) -> Matches:
        """Those that both of their points trust most: at most one for each point."""
        order = torch.argsort(self.weights, descending=True, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        best = [_first_of_each(index, rank) for index in (self.source_index, self.target_index)]
        return self.taken((rank == best[0]) & (rank == best[1]))

    def double(self) -> Matches:
        """The same in float64, in which all solvers work."""
        turns = None if self.rotations is None else self.rotations.double()
        source, target, weights = self.source.double(), self.target.double(), self.weights.double()
        return Matches(source, target, weights, turns, self.source_index, self.target_index)

    def moved(self, motion: Motion) -> Matches:
        """The same with the target points moved."""
        turns = None if self.rotations is None else motion.rotation.to(self.rotations) @ self.rotations
        target = motion.apply(self.target).to(self.target)
        return Matches(self.source, target, self.weights, turns, self.source_index, self.target_index)


def _first_of_each(index: Tensor, rank: Tensor) -> Tensor:
    """The smallest rank among the matches of the same point, for each match."""
    _, place = torch.unique(index, return_inverse=True)
    least = torch.full((len(index),), len(index), dtype=rank.dtype, device=rank.device)
    return least.scatter_reduce(0, place, rank, "amin")[place]


def checked(matches: Matches, threshold: float, *, least: int = 3) -> Matches:
    """The matches in float64, fit to be solved.

    Parameters
    ----------
    least
        How many matches the solver needs; with 3 or more they must not lie on one line either.

    Raises
    ------
    InputError
        Fewer matches of a positive weight than `least`, values that are not finite, negative weights, source or
        target points on one line, a threshold that is not positive.
    """
    if not threshold > 0 or threshold == float("inf"):
        raise InputError(f"the inlier threshold is {threshold}, a positive length is expected")
    matches = matches.double()
    tensors = [matches.source, matches.target, matches.weights]
    tensors += [] if matches.rotations is None else [matches.rotations]
    if not all(bool(values.isfinite().all()) for values in tensors):
        raise InputError("matches have coordinates or weights that are not finite")
    if bool((matches.weights < 0).any()):
        raise InputError("matches have negative weights")
    trusted = matches.weights > 0
    if int(trusted.sum()) < least:
        hint = "Use a larger voxel, more features or another method."
        raise InputError(f"{int(trusted.sum())} matches; at least {least} are needed", hint=hint)
    if least >= 3:
        for points, name in ((matches.source, "source"), (matches.target, "target")):
            if on_a_line(points[trusted]):
                hint = "A turn about that line cannot be seen in them; add matches beside it."
                raise InputError(f"the {name} points of all matches lie on one line", hint=hint)
    return matches


def on_a_line(points: Tensor) -> bool:
    """Whether points `[N, 3]` coincide or lie on one line, to rounding."""
    centred = points - points.mean(0)
    largest, second = torch.linalg.svdvals(centred)[:2].tolist() if len(points) > 1 else (0.0, 0.0)
    size = float(points.abs().max())
    return bool(largest <= 1e-12 * size or second <= LINE_BELOW * largest)
