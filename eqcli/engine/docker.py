"""Docking ligands into one receptor: a network's poses, pockets, search, scores and small final motions in order.

Conformers come from the ligand's bonds alone, never from the torsions of the file it was read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.engine import docking_physics as physics
from eqcli.engine.device import out_of_memory, threads_for
from eqcli.engine.docking_box import Box, box_around
from eqcli.engine.docking_pose import PoseResult, RankBy, distinct, ranked
from eqcli.engine.docking_receptor import PreparedReceptor
from eqcli.engine.halving import TOO_LARGE, release
from eqcli.engine.pose_network import FLEXIBLE, PHYSICS, REFINED, PoseNetwork
from eqcli.errors import Failure, InputError

if TYPE_CHECKING:
    from eqcli.engine.ligand_field import LigandField
    from eqcli.io.ligand import Ligand
    from eqcli.io.ligand_topology import LigandTopology
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]
Minimiser = Literal["none", "mmff"]

NETWORK_SHARE = 0.5
"""Of the effort in blind mode that goes to the place a network chose, outside all pockets."""


@dataclass(frozen=True)
class DockSettings:
    """How ligands are docked.

    Attributes
    ----------
    poses
        Of each ligand, at most.
    search
        Whether poses are sought by physics; without it they are the network's, as they are.
    pockets
        Boxes that share the effort where no box is given.
    effort
        Of the search; 1 is the default, 2 takes about twice as long.
    conformers
        Shapes of rings that poses may have.
    minimise
        What moves all atoms at the end: nothing, or the ligand's force field beside the score.
    rank_by
        What the first pose is best in.
    """

    poses: int = 9
    search: bool = True
    pockets: int = 5
    effort: float = 1.0
    conformers: int = 4
    minimise: Minimiser = "mmff"
    rank_by: RankBy = "score"


@dataclass(frozen=True)
class _Job:
    """A ligand with what is computed of it once."""

    ligand: Ligand
    topology: LigandTopology
    conformers: FloatArray
    seed: int


class Docker:
    """Docks ligands into receptors.

    Raises
    ------
    InputError
        There is neither a network nor a search.
    """

    def __init__(
        self, network: PoseNetwork | None, settings: DockSettings, *, device: torch.device | str = "cpu"
    ) -> None:
        if network is None and not settings.search:
            raise InputError("without a network there is nothing but the search", hint="Leave out --network-only.")
        self.network = network
        self.settings = settings
        self.device = torch.device(device)

    def prepare(self, receptor: Receptor) -> PreparedReceptor:
        """A receptor for any number of ligands; the network reads it once."""
        encoded = None if self.network is None else self.network.encode(receptor)
        return PreparedReceptor(receptor, encoded, self.device)

    def dock(
        self,
        prepared: PreparedReceptor,
        ligands: Sequence[Ligand],
        box: Box | None = None,
        *,
        seeds: Sequence[int] | None = None,
    ) -> list[list[PoseResult] | Failure]:
        """The poses of each ligand, best first, or why it has none.

        Parameters
        ----------
        box
            Where poses are sought; None looks for pockets.
        seeds
            One for each ligand, of its conformers and its search; 0, 1, ... when None. What becomes of a ligand does
            not depend on the others.
        """
        made: list[_Job | Failure] = [
            self._job(ligand, seed) for ligand, seed in zip(ligands, seeds or range(len(ligands)), strict=True)
        ]
        jobs = [job for job in made if isinstance(job, _Job)]
        placed = iter(self._network_poses(prepared, jobs, box))
        found: list[list[PoseResult] | Failure] = []
        # The operations of a search are short: waking threads for them takes longer than they do.
        with threads_for(0):
            for job in made:
                if isinstance(job, Failure):
                    found.append(job)
                    continue
                given = next(placed)
                found.append(given if isinstance(given, Failure) else self._finished(prepared, job, given, box))
        return found

    def _job(self, ligand: Ligand, seed: int) -> _Job | Failure:
        from eqcli.io.ligand import conformers
        from eqcli.io.ligand_topology import topology

        try:
            count = self.settings.conformers if self.settings.search else self.settings.poses
            # Positions that were generated are a conformer like any other; those of a file may be the answer.
            shapes = conformers(ligand, count, seed, keep_given=not ligand.given)
            return _Job(ligand, topology(ligand), shapes, seed)
        except Exception as error:  # whatever is wrong with one ligand, the others go on
            return Failure.of(ligand.name, error)

    def _network_poses(
        self, prepared: PreparedReceptor, jobs: Sequence[_Job], box: Box | None
    ) -> list[FloatArray | Failure]:
        """The network's poses `[C, N, 3]` of each ligand, one for each conformer; `[0, N, 3]` without a network."""
        if self.network is None or not jobs:
            return [np.zeros((0, *job.conformers.shape[1:])) for job in jobs]
        pairs = [(job.ligand, conformer) for job in jobs for conformer in job.conformers]
        try:
            outputs = iter([poses[FLEXIBLE] for poses in self.network.poses(prepared, pairs, box)])
            return [np.stack([next(outputs) for _ in job.conformers]) for job in jobs]
        except Exception as error:
            # Each alone, so that what is wrong with one is no fault of the others.
            failure = _failure(jobs[0].ligand.name, error)
        # Outside the handler, whose traceback holds on to the tensors.
        release(self.device)
        if len(jobs) == 1:
            return [failure]
        return [found for job in jobs for found in self._network_poses(prepared, [job], box)]

    def _finished(
        self, prepared: PreparedReceptor, job: _Job, given: FloatArray, box: Box | None
    ) -> list[PoseResult] | Failure:
        try:
            poses = (
                self._searched(prepared, job, given, box)
                if self.settings.search
                else self._as_given(prepared, job, given)
            )
            poses = self._judged(prepared, job, self._minimised(prepared, job, poses))
            if not poses:
                raise InputError("no pose was found")
            return ranked(poses, self.settings.rank_by)
        except Exception as error:
            return _failure(job.ligand.name, error)

    def _as_given(self, prepared: PreparedReceptor, job: _Job, given: FloatArray) -> list[PoseResult]:
        if not np.isfinite(given).all():
            raise InputError("the network's positions are not finite")
        scores = physics.exact_affinities(prepared, job.topology, given)
        poses = [PoseResult(x, FLEXIBLE, score) for x, score in zip(given, scores, strict=True)]
        return poses[: self.settings.poses]

    def _searched(self, prepared: PreparedReceptor, job: _Job, given: FloatArray, box: Box | None) -> list[PoseResult]:
        given = given[np.isfinite(given).all(axis=(1, 2))]
        found = physics.searched(
            prepared,
            job.topology,
            job.conformers,
            self._starts(prepared, job, given, box),
            count=self.settings.poses,
            effort=self.settings.effort,
            seed=job.seed,
        )
        method = PHYSICS if self.network is None else REFINED
        poses = [PoseResult(one.positions, method, one.affinity, pocket=one.pocket) for one in found]
        return distinct(poses, job.topology.heavy, self.settings.poses)

    def _starts(self, prepared: PreparedReceptor, job: _Job, given: FloatArray, box: Box | None) -> list[physics.Start]:
        """The boxes that are searched, and the network's poses that begin in each."""
        if box is not None:
            return [physics.Start(box, 0, given, 1.0)]
        boxes = prepared.pocket_boxes(self.settings.pockets)
        centres = given[:, job.topology.heavy].mean(axis=1)
        homes = [next((k for k, one in enumerate(boxes) if one.contains(c)), -1) for c in centres]
        outside = given[[home < 0 for home in homes]]
        rest = 1.0 - (NETWORK_SHARE if len(outside) else 0.0)
        starts = [
            physics.Start(one, k + 1, given[[home == k for home in homes]], rest / len(boxes))
            for k, one in enumerate(boxes)
        ]
        if len(outside):
            where = _network_box(outside, job.topology)
            starts.insert(0, physics.Start(where, 0, outside, NETWORK_SHARE, lasting=False))
        return starts

    def _minimised(self, prepared: PreparedReceptor, job: _Job, poses: list[PoseResult]) -> list[PoseResult]:
        """The poses after small motions of all atoms, and their strain; as they are without a force field."""
        from eqcli.engine.ligand_field import LigandField, strains

        try:
            field = LigandField(job.ligand)
        except InputError:
            return poses
        if self.settings.minimise != "none":
            poses = [self._moved(prepared, job, field, pose) for pose in poses]
        positions = np.stack([pose.positions for pose in poses]) if poses else np.zeros((0, len(job.topology.types), 3))
        found = strains(field, positions, job.conformers)
        return [replace(pose, strain=strain) for pose, strain in zip(poses, found, strict=True)]

    def _moved(self, prepared: PreparedReceptor, job: _Job, field: LigandField, pose: PoseResult) -> PoseResult:
        from eqcli.engine.pose_minimise import minimised

        box = physics.around(pose.positions[None, job.topology.heavy])
        positions = minimised(field, prepared.site(box, torch.float64), job.topology, pose.positions)
        (affinity,) = physics.exact_affinities(prepared, job.topology, positions[None], box)
        return replace(pose, positions=positions, score=affinity)

    def _judged(self, prepared: PreparedReceptor, job: _Job, poses: list[PoseResult]) -> list[PoseResult]:
        """The poses with the network's confidence."""
        if self.network is None or not poses:
            return poses
        values = self.network.confidences(prepared, job.ligand, np.stack([pose.positions for pose in poses]))
        if values is None:
            return poses
        return [replace(pose, confidence=float(value)) for pose, value in zip(poses, values, strict=True)]


def _failure(name: str, error: Exception) -> Failure:
    """Why a ligand has no poses."""
    return Failure(name, TOO_LARGE) if out_of_memory(error) else Failure.of(name, error)


def _network_box(poses: FloatArray, topology: LigandTopology) -> Box:
    """A box around the poses that lie in no pocket; around the first alone where they are far apart."""
    heavy = poses[:, topology.heavy]
    try:
        return box_around(heavy.reshape(-1, 3))
    except InputError:
        return box_around(heavy[0])
