"""Motions from cliques of mutually compatible matches.

Zhang et al., "3D registration with maximal cliques", CVPR 2023; Bailo et al. and Lusk et al. take the largest one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.geometry.kabsch import align
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.compatibility import Graph, compatibility
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.maximum_clique import grown_clique, maximum_clique
from eqcli.models.pointcloud.solved import Solved, chosen, unsolved

IntArray = NDArray[np.int64]

TRIED = 50
"""Edges that are tried for each clique that is wanted."""


@dataclass(frozen=True)
class Clique:
    """Cliques grown from the edges that stand out most, and the largest one.

    The work is bounded, hence best effort: the largest clique is proven only where its search ends within `work`.

    Parameters
    ----------
    cliques
        How many are grown, no two from edges of one of them.
    tolerance
        Thresholds by which distances in source and target may differ.
    most
        Matches that are looked at, the most trusted; memory and time go with the square.
    work
        Branches of the search for the largest clique.
    rounds
        Rounds of weighted Procrustes on the inliers of the best.
    """

    cliques: int = 40
    tolerance: float = 1.0
    most: int = 5000
    work: int = 2000
    rounds: int = 5

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """One hypothesis for each clique; `generator` is not used. Raises InputError as :func:`checked` says."""
        matches = checked(matches, threshold)
        graph = compatibility(matches, self.tolerance * threshold, most=self.most)
        found = self._cliques(graph)
        candidates = group_motions(matches, [graph.places[clique] for clique in found])
        if candidates is None:
            return unsolved(matches)
        return chosen(candidates, matches, threshold, rounds=self.rounds)

    def _cliques(self, graph: Graph) -> list[IntArray]:
        taken = np.zeros(len(graph.joined), dtype=np.bool_)
        found: list[IntArray] = []
        for first, second in strongest_edges(graph, TRIED * self.cliques):
            if len(found) >= self.cliques:
                break
            if taken[first] or taken[second]:
                continue
            clique = grown_clique(graph.joined, [first, second])
            taken[clique] = True
            if len(clique) >= 3:
                found.append(clique)
        if found:
            largest = max(found, key=len)
            proven, _ = maximum_clique(graph.joined, largest, work=self.work)
            found.append(proven)
        return found


def strongest_edges(graph: Graph, count: int) -> list[tuple[int, int]]:
    """The edges of the largest contrast, the largest first."""
    every = len(graph.contrast)
    best = np.argpartition(graph.contrast, every - count)[-count:] if every > count else np.arange(every)
    order = best[np.argsort(-graph.contrast[best], kind="stable")]
    return list(zip(graph.first[order].tolist(), graph.second[order].tolist(), strict=True))


def group_motions(matches: Matches, groups: list[IntArray]) -> Motion | None:
    """Weighted least squares motions of groups of matches; None where no group determines one."""
    groups = [group for group in groups if len(group) >= 3]
    if not groups:
        return None
    device = matches.source.device
    index = torch.from_numpy(np.concatenate(groups)).to(device)
    sizes = torch.tensor([len(group) for group in groups], device=device)
    batch = torch.repeat_interleave(torch.arange(len(groups), device=device), sizes)
    found = align(matches.source[index], matches.target[index], weights=matches.weights[index], batch=batch)
    good = ~found.undetermined
    return Motion(found.rotation[good], found.translation[good]) if bool(good.any()) else None
