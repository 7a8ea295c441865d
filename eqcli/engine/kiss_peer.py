"""KISS-Matcher (Lim et al., ICRA 2025) as a peer: its features and solver on clouds, its solver on given matches.

Its solver prunes matches by a graph of compatible ones (ROBIN) and fits with graduated non-convexity.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.errors import InputError, MissingDependency
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.hypotheses import polished
from eqcli.models.pointcloud.icp import check_clouds
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.solved import Solved, Solver, assembled, unsolved
from eqcli.models.pointcloud.solving import SOLVERS, make_solver

FloatArray = NDArray[np.float64]

NAME = "kiss"
"""What the solver is called beside those of :data:`eqcli.models.pointcloud.solving.SOLVERS`."""


@dataclass(frozen=True)
class KissOutcome:
    """What KISS-Matcher makes of two clouds.

    Attributes
    ----------
    motion
        float64, though the library works in float32.
    matches
        Those of its own features before pruning, in the coordinates of the clouds; indices count matches.
    inliers
        How many it kept in the end.
    valid
        Whether the library trusts its own result.
    seconds
        Of everything.
    """

    motion: Motion
    matches: Matches
    inliers: int
    valid: bool
    seconds: float


@dataclass(frozen=True)
class KissSolver:
    """ROBIN and graduated non-convexity on given matches.

    Parameters
    ----------
    rounds
        Rounds of weighted Procrustes on the inliers afterwards; 0 leaves the motion as the library gives it.
    """

    rounds: int = 0

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """One hypothesis, none where the library finds nothing valid; weights and `generator` are not used.

        Matches of no weight are left out. Coordinates are float32 inside, about the middles of both sides.

        Raises
        ------
        InputError
            As :func:`eqcli.models.pointcloud.matches.checked` says.
        MissingDependency
            Where kiss-matcher is not installed.
        """
        library = _library()
        matches = checked(matches, threshold)
        given = matches.taken(matches.weights > 0)
        middles = (given.source.mean(0), given.target.mean(0))
        matcher = library.KISSMatcher(library.KISSMatcherConfig(1.0))
        # In units of the threshold: the voxel sets the noise bounds of the solver.
        scaled = [(p - middle) / threshold for p, middle in zip((given.source, given.target), middles, strict=True)]
        found = matcher.prune_and_solve(*(_rows(points.cpu().numpy()) for points in scaled))
        if not found.valid:
            return unsolved(matches, hypotheses=1)
        motion = _motion(found, threshold, middles[0].cpu(), middles[1].cpu()).to(matches.source)
        motion = polished(motion, matches, threshold, rounds=self.rounds)
        return assembled(motion, matches, threshold, hypotheses=1)


def kiss_register(source: FloatArray, target: FloatArray, voxel: float) -> KissOutcome:
    """KISS-Matcher's own chain on clouds `[N, 3]` and `[M, 3]`: its voxels, its FasterPFH, its solver.

    Raises
    ------
    InputError
        Fewer than 6 points, coordinates that are not finite, a voxel that is not positive.
    MissingDependency
        Where kiss-matcher is not installed.
    """
    library = _library()
    check_clouds(torch.from_numpy(source), torch.from_numpy(target))
    if not (voxel > 0 and np.isfinite(voxel)):
        raise InputError(f"the voxel is {voxel}, a positive length is expected")
    began = perf_counter()
    middles = (torch.from_numpy(source.mean(axis=0)), torch.from_numpy(target.mean(axis=0)))
    matcher = library.KISSMatcher(library.KISSMatcherConfig(1.0))
    found = matcher.estimate(*(_rows((p - m.numpy()) / voxel) for p, m in zip((source, target), middles, strict=True)))
    motion = _motion(found, voxel, *middles)
    sides = matcher.get_keypoints_from_initial_matching()
    keys = [torch.tensor(np.array(side).reshape(-1, 3), dtype=torch.float64) * voxel for side in sides]
    matches = Matches.of(keys[0] + middles[0], keys[1] + middles[1])
    inliers = int(matcher.get_num_final_inliers())
    return KissOutcome(motion, matches, inliers, bool(found.valid), perf_counter() - began)


def any_solver(name: str, **settings: Any) -> Solver:
    """A solver by name, 'kiss' among them; raises as :func:`make_solver` does, and MissingDependency."""
    if name != NAME:
        return make_solver(name, **settings)
    _library()
    try:
        return KissSolver(**settings)
    except TypeError as error:
        raise InputError(f"the solver '{name}' has no such setting: {error}") from error


def solver_names() -> list[str]:
    """The solvers that can be used here; 'kiss' where kiss-matcher is installed."""
    return [*SOLVERS, NAME] if kiss_available() else [*SOLVERS]


def kiss_available() -> bool:
    """Whether kiss-matcher is installed."""
    return find_spec("kiss_matcher") is not None


def _library() -> Any:
    if not kiss_available():
        raise MissingDependency("KISS-Matcher is not installed", hint="pip install 'eqcli[registration]'")
    import kiss_matcher

    return kiss_matcher


def _rows(points: FloatArray) -> list[NDArray[np.float32]]:
    return list(np.ascontiguousarray(points, dtype=np.float32))


def _motion(found: Any, unit: float, source_middle: torch.Tensor, target_middle: torch.Tensor) -> Motion:
    """From the library's units about the middles; its rotation is made orthogonal in float64."""
    u, _, vh = torch.linalg.svd(torch.tensor(np.array(found.rotation), dtype=torch.float64))
    rotation = u @ vh
    shift = torch.tensor(np.array(found.translation).reshape(3), dtype=torch.float64) * unit
    return Motion(rotation, shift + target_middle - rotation @ source_middle)
