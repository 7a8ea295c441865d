"""Pairs of clouds on which registration is evaluated: read, perhaps turned, with their thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import EqcliError, Failure
from eqcli.metrics.registration.recall import Thresholds, thresholds, true_matches

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.io.point_cloud import PointCloud

FloatArray = NDArray[np.float64]

METRES: Final = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
"""Unit of clouds -> one metre in it."""
AUTO, VOXELS = "auto", "voxels"
LENGTHS: Final = (AUTO, *METRES, VOXELS)


@dataclass(frozen=True)
class PairRules:
    """How pairs are read and what they are measured by.

    Attributes
    ----------
    lengths
        Unit of the clouds, of `LENGTHS`. `auto`: what files state, metres where a benchmark's matrix of errors is
        given, and multiples of the voxel elsewhere.
    distance, inlier, share
        Thresholds as `metrics.registration.recall.thresholds` takes them.
    voxel
        In the unit of the clouds; None is that of the pair where it states one, and else chosen for each pair.
    turned
        Whether sources are turned by a random rotation first.
    adjacent
        Whether pairs that follow one another in their scene count; those of 3DMatch do not in its published recall.
    seed
        Of these rotations and of the methods.
    """

    lengths: str = AUTO
    distance: float = 0.2
    inlier: float = 0.1
    share: float = 0.05
    voxel: float | None = None
    turned: bool = False
    adjacent: bool = False
    seed: int = 0


@dataclass(frozen=True)
class RegistrationCase:
    """One pair, as methods are given it.

    Attributes
    ----------
    pair
        As it was found.
    source, target
        Cleaned clouds; the source turned by `turn`.
    turn
        `[4, 4]`, from the source of the file to `source`; the identity where it is not turned.
    limits
        Thresholds in the unit of the clouds.
    seed
        Of the methods.
    """

    pair: CloudPair
    source: PointCloud
    target: PointCloud
    turn: FloatArray
    limits: Thresholds
    seed: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def voxel(self) -> float:
        """Edge of the voxel of this pair, in the unit of the clouds."""
        return self.limits.voxel

    @cached_property
    def given(self) -> FloatArray:
        """Points of the source as in its file, `[N, 3]`."""
        return (self.source.points - self.turn[:3, 3]) @ self.turn[:3, :3]

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """True matches `[K, 2]` of points of the two clouds; none where the truth is unknown."""
        if self.pair.truth is None:
            return np.zeros((0, 2), dtype=np.int64)
        return true_matches(self.given, self.target.points, self.pair.truth, self.limits.true)

    @property
    def overlap(self) -> float | None:
        """As the pair states it, or else the share of the source that has a true match."""
        if self.pair.overlap is not None or self.pair.truth is None:
            return self.pair.overlap
        return len(self.index) / len(self.source)

    @property
    def angle(self) -> float | None:
        """Degrees between the source as it is given to methods and its true place."""
        if self.pair.truth is None:
            return None
        from eqcli.metrics.registration.errors import motion_errors

        return motion_errors(self.pair.truth @ np.linalg.inv(self.turn), np.eye(4)).rotation


def registration_cases(
    sources: Sequence[Path],
    rules: PairRules,
    on_failure: Callable[[Failure], None],
    *,
    limit: int | None = None,
    on_left_out: Callable[[CloudPair], None] = lambda pair: None,
) -> Iterator[RegistrationCase]:
    """The pairs of tables and folders, the first `limit` of them; what cannot be read is told and left out.

    Adjacent pairs, too, are left out and told where the rules say so.

    Raises InputError where a table or folder is missing or damaged.
    """
    from eqcli.data.cloud_pairs import find_pairs

    count = 0
    names: set[str] = set()
    for source in sources:
        for found in find_pairs(source):
            if limit is not None and count >= limit:
                return
            if isinstance(found, Failure):
                on_failure(found)
                continue
            if found.adjacent and not rules.adjacent:
                on_left_out(found)
                continue
            count += 1
            found = replace(found, name=_unlike(found.name, names))
            try:
                yield read_case(found, rules)
            except (EqcliError, ValueError, RuntimeError, LookupError, OSError) as error:
                on_failure(Failure.of(found.name, error))


def _unlike(name: str, names: set[str]) -> str:
    """The name of a pair, with a number where another pair has it already."""
    own, number = name, 1
    while own in names:
        number += 1
        own = f"{name} ({number})"
    names.add(own)
    return own


def read_case(pair: CloudPair, rules: PairRules) -> RegistrationCase:
    """The clouds of a pair. Raises InputError where one cannot be read or has too few points."""
    import torch

    from eqcli.graph.points.spacing import automatic_voxel
    from eqcli.io.point_cloud import cleaned, read_cloud

    source, target = (cleaned(read_cloud(path)) for path in (pair.source, pair.target))
    voxel = (
        rules.voxel or pair.voxel or automatic_voxel(torch.from_numpy(source.points), torch.from_numpy(target.points))
    )
    limits = thresholds(
        metre_of(pair, source, target, rules.lengths), voxel, distance=rules.distance, inlier=rules.inlier,
        share=rules.share,
    )  # fmt: skip
    turn = random_turn(source.points, pair.name, rules.seed) if rules.turned else np.eye(4)
    notes = [*(f"source: {note}" for note in source.notes), *(f"target: {note}" for note in target.notes)]
    return RegistrationCase(pair, source.moved(turn), target, turn, limits, rules.seed, notes)


def metre_of(pair: CloudPair, source: PointCloud, target: PointCloud, lengths: str) -> float | None:
    """One metre in the unit of the clouds; None where lengths are counted in voxels."""
    if lengths != AUTO:
        return METRES.get(lengths)
    if source.units == target.units and source.units in METRES:
        return METRES[source.units]
    # The matrices of the benchmark are in metres, as its clouds are.
    return 1.0 if pair.information is not None else None


def random_turn(points: FloatArray, name: str, seed: int) -> FloatArray:
    """A uniform rotation about the middle of points, `[4, 4]`; the same for the same name and seed."""
    from zlib import crc32

    from scipy.spatial.transform import Rotation

    generator = np.random.default_rng([seed, crc32(name.encode())])
    middle = points.mean(axis=0)
    matrix = np.eye(4)
    quaternion = generator.normal(size=4)
    matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    return matrix
