"""Motions from the leading eigenvectors of the compatibility of matches.

Leordeanu and Hebert, ICCV 2005, on the second-order measure of Chen et al., CVPR 2022, less what chance gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from eqcli.models.pointcloud.cliques import group_motions
from eqcli.models.pointcloud.compatibility import Graph, compatibility
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.solved import Solved, chosen, unsolved

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Spectral:
    """Groups of matches that hold together, one after the other.

    Parameters
    ----------
    groups
        How many are taken, each without the matches of those before.
    steps
        Power iterations for each eigenvector.
    tolerance
        Thresholds by which distances in source and target may differ.
    most
        Matches that are looked at, the most trusted; memory and time go with the square.
    rounds
        Rounds of weighted Procrustes on the inliers of the best.
    """

    groups: int = 12
    steps: int = 30
    tolerance: float = 1.0
    most: int = 5000
    rounds: int = 5

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """One hypothesis for each group; `generator` is not used. Raises InputError as :func:`checked` says."""
        matches = checked(matches, threshold)
        graph = compatibility(matches, self.tolerance * threshold, most=self.most)
        found = self._groups(graph, matches.weights.cpu().numpy()[graph.places])
        candidates = group_motions(matches, [graph.places[group] for group in found])
        if candidates is None:
            return unsolved(matches)
        return chosen(candidates, matches, threshold, rounds=self.rounds)

    def _groups(self, graph: Graph, weights: FloatArray) -> list[IntArray]:
        affinity = _affinity(graph, weights)
        alive = np.ones(len(graph.joined), dtype=np.float64)
        found: list[IntArray] = []
        for _ in range(self.groups):
            vector = leading_vector(affinity, alive, self.steps)
            group = compatible_group(vector, graph.joined)
            if len(group) < 3:
                break
            found.append(group)
            alive[group] = 0.0
        return found


def leading_vector(affinity: sparse.csr_array, alive: FloatArray, steps: int) -> FloatArray:
    """The leading eigenvector, not negative, among the nodes that are alive; zero where nothing joins them."""
    vector = alive / max(1.0, float(np.linalg.norm(alive)))
    for _ in range(steps):
        vector = alive * (affinity @ vector)
        length = float(np.linalg.norm(vector))
        if length == 0:
            break
        vector = vector / length
    return vector


def compatible_group(vector: FloatArray, joined: NDArray[np.bool_]) -> IntArray:
    """Nodes by falling entry of the eigenvector, each compatible with all before it (a clique)."""
    allowed = vector > 1e-3 * vector.max(initial=0.0)
    found: list[int] = []
    for node in np.argsort(-vector, kind="stable").tolist():
        if not allowed[node]:
            continue
        found.append(node)
        allowed &= joined[node]
        if not allowed.any():
            break
    return np.array(found, dtype=np.int64)


def _affinity(graph: Graph, weights: FloatArray) -> sparse.csr_array:
    trust = np.sqrt(weights[graph.first] * weights[graph.second])
    surplus = trust * graph.contrast
    rows, columns = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    size = len(graph.joined)
    return sparse.csr_array((np.concatenate([surplus, surplus]), (rows, columns)), shape=(size, size))
