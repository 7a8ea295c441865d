"""Docking pairs, some at a time: receptors are prepared once, and what is wrong with one pair is its own row."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from eqcli.engine.docking_pose import PoseResult
from eqcli.errors import Failure, InputError
from eqcli.tasks.dock_pair import Pair
from eqcli.tasks.dock_receptor import receptor_in, without_ligand

if TYPE_CHECKING:
    from pathlib import Path

    from eqcli.engine.docker import Docker
    from eqcli.engine.docking_box import Box
    from eqcli.engine.docking_receptor import PreparedReceptor
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor
    from eqcli.io.structure import Structure
    from eqcli.tasks.dock_place import Place
    from eqcli.tasks.dock_request import DockRequest

RECEPTORS = 4
"""Receptors that are kept prepared."""

TOGETHER = 32
"""Ligands that a network places at once; a search takes them one by one."""

DIGITS = 4
"""Of scores and the like in files."""


@dataclass
class DockedPair:
    """What became of a pair.

    Attributes
    ----------
    poses
        Best first, with the figures of each in `info`; none where it failed.
    failure
        Why there is none.
    notes
        Rules that applied to the receptor and the ligand.
    receptor
        What it was docked in; None where it failed.
    """

    pair: Pair
    poses: list[Structure] = field(default_factory=list)
    failure: Failure | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    receptor: Receptor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Known:
    """A receptor with the box of a place in it."""

    prepared: PreparedReceptor
    box: Box | None


class PairDocker:
    """Docks pairs.

    Parameters
    ----------
    log
        Hears of the rules that applied to receptors and ligands, line by line.
    """

    def __init__(self, docker: Docker, request: DockRequest, log: Callable[[str], None]) -> None:
        self.docker = docker
        self.request = request
        self.log = log
        self._known: OrderedDict[object, _Known | InputError] = OrderedDict()

    def batches(self, pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
        """Pairs that follow each other and share receptor and place, as many as are docked at once."""
        size = 1 if self.docker.settings.search else TOGETHER
        for _, group in groupby(pairs, key=lambda pair: (pair.source.receptor, pair.source.place)):
            batch: list[Pair] = []
            for pair in group:
                batch.append(pair)
                if len(batch) == size:
                    yield batch
                    batch = []
            if batch:
                yield batch

    def dock(self, batch: Sequence[Pair]) -> list[DockedPair]:
        """What becomes of pairs that share receptor and place, in order."""
        begin = time.perf_counter()
        found = [DockedPair(pair) for pair in batch]
        groups: dict[int, tuple[_Known, list[DockedPair]]] = {}
        for one in found:
            ligand = one.pair.ligand
            if isinstance(ligand, InputError):
                one.failure = Failure.of(one.pair.name, ligand)
                continue
            try:
                known = self._receptor(one.pair, ligand)
                groups.setdefault(id(known.prepared), (known, []))[1].append(one)
            except Exception as error:  # a defect in reading one receptor does not end the screen
                one.failure = Failure.of(one.pair.name, error)
        for known, members in groups.values():
            self._dock_together(known, members)
        each = (time.perf_counter() - begin) / len(found)
        for one in found:
            one.seconds = each
            self._note(one)
        return found

    def _note(self, one: DockedPair) -> None:
        if not isinstance(one.pair.ligand, InputError):
            one.notes += one.pair.ligand.notes
            for note in one.pair.ligand.notes:
                self.log(f"ligand {one.pair.name}: {note}")
        if one.failure is not None:
            self.log(f"failed: {one.pair.name}: {one.failure.reason}")

    def _dock_together(self, known: _Known, members: list[DockedPair]) -> None:
        ligands = [one.pair.ligand for one in members if not isinstance(one.pair.ligand, InputError)]
        seeds = [seed_of(self.request.seed, one.pair) for one in members]
        results = self.docker.dock(known.prepared, ligands, known.box, seeds=seeds)
        for one, ligand, result in zip(members, ligands, results, strict=True):
            one.notes += known.prepared.receptor.notes
            if isinstance(result, Failure):
                one.failure = replace(result, item=one.pair.name)
            else:
                one.poses = pose_structures(one.pair.name, ligand, known.prepared, result)
                one.receptor = known.prepared.receptor

    def _receptor(self, pair: Pair, ligand: Ligand) -> _Known:
        """The receptor without what the ligand itself, or the reference in its pocket, is in the file."""
        base = self._read(pair.source.receptor, pair.source.place)
        receptor = base.prepared.receptor
        less = without_ligand(receptor, ligand)
        if less is receptor:
            return base
        key = (pair.source.receptor, pair.source.place, less.structure.positions.tobytes())
        return self._cached(key, lambda: self._prepared(less, pair.source.place))

    def _read(self, path: Path, place: Place | None) -> _Known:
        def read() -> _Known:
            receptor = receptor_in(path, place, self.request)
            for note in receptor.notes:
                self.log(f"receptor {receptor.name}: {note}")
            return self._prepared(receptor, place)

        return self._cached((path, place), read)

    def _prepared(self, receptor: Receptor, place: Place | None) -> _Known:
        prepared = self.docker.prepare(receptor)
        return _Known(prepared, None if place is None else place.box(receptor))

    def _cached(self, key: object, make: Callable[[], _Known]) -> _Known:
        """What was made before for a key, or is made now; a receptor that cannot be read is not read again."""
        if key not in self._known:
            try:
                self._known[key] = make()
            except InputError as error:
                self._known[key] = error
        self._known.move_to_end(key)
        while len(self._known) > RECEPTORS:
            self._known.popitem(last=False)
        found = self._known[key]
        if isinstance(found, InputError):
            raise found
        return found


def seed_of(seed: int, pair: Pair) -> int:
    """A seed for each pair, so that its poses do not depend on what was docked before it."""
    record = 0 if pair.record is None else pair.record
    return int(np.random.SeedSequence((seed, pair.source.row, record)).generate_state(1)[0]) & 0x7FFFFFFF


def pose_structures(
    name: str, ligand: Ligand, prepared: PreparedReceptor, poses: Sequence[PoseResult]
) -> list[Structure]:
    """The poses of a ligand as structures, the figures of each in `info` beside what the ligand's file said."""
    from eqcli.metrics.docking.clashes import receptor_clashes

    clashes = receptor_clashes(ligand, np.stack([pose.positions for pose in poses]), prepared.receptor)
    found = []
    for rank, (pose, clash) in enumerate(zip(poses, clashes, strict=True), start=1):
        info = {
            **ligand.structure.info,
            "name": name,
            "receptor": prepared.receptor.name,
            "ligand": name,
            "rank": rank,
            "method": pose.method,
            "score": round(pose.score, DIGITS),
            "confidence": None if pose.confidence is None else round(pose.confidence, DIGITS),
            "pocket": pose.pocket,
            "clashes": int(clash),
            "strain": None if pose.strain is None else round(pose.strain, DIGITS),
        }
        stated = {key: value for key, value in info.items() if value is not None}
        found.append(replace(ligand.structure, positions=pose.positions, energy=None, forces=None, info=stated))
    return found
