"""Search for the poses of least energy in a box: many chains of random steps, each followed by a local search.

Iterated local search with Metropolis's rule as in Trott & Olson, J. Comput. Chem. 31, 455 (2010), for all chains at
once. Random starts are scored after a short local search and the best of them, no two alike, begin the chains; in the
course of the search the worst chains begin anew from the best poses known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from typing import Any, Protocol

import torch
from torch import Tensor

from eqcli.geometry.kabsch import align
from eqcli.geometry.torsions import turned
from eqcli.models.docking.affinity_maps import AffinityMaps
from eqcli.models.docking.local_search import Poses, joined, minimised, stepped
from eqcli.models.docking.pose_state import RIGID, PoseTables
from eqcli.models.docking.random_poses import random_poses
from eqcli.models.docking.search_settings import SearchSettings
from eqcli.models.docking.vina_score import VinaScore

SPARE = 3
"""Poses more than wanted that come to the exact score, where some may turn out alike."""

BATCH = 512
"""Random starts that are minimised at once."""

EXCHANGE = 4
"""Random steps between two exchanges with the pool of the best poses."""


class Topology(Protocol):
    """What turns in a ligand: :class:`eqcli.io.ligand_topology.LigandTopology` has it."""

    @property
    def rotatable(self) -> Any: ...
    @property
    def moved(self) -> Any: ...


@dataclass(frozen=True)
class Found:
    """Poses, best first.

    Attributes
    ----------
    positions
        `[n, N, 3]`, Å, every atom.
    energy
        `[n]`, what was minimised, kcal/mol.
    affinity
        `[n]`, the number of Vina's form for one pose, kcal/mol, by exact sums.
    origin
        `[n]`: the conformer that each pose comes from; -1 - g for the given pose g.
    """

    positions: Tensor
    energy: Tensor
    affinity: Tensor
    origin: Tensor


@torch.no_grad()
def search(
    score: VinaScore,
    start: Tensor,
    topology: Topology,
    settings: SearchSettings,
    generator: torch.Generator,
    *,
    given: Tensor | None = None,
) -> Found:
    """Poses of low energy that differ from each other.

    Parameters
    ----------
    score
        Of every atom of the ligand. Its maps serve the search, which makes them where there are none; the exact sums
        polish and rank.
    start
        `[S, N, 3]`: conformers; their bond lengths, angles and rings are kept.
    given
        `[G, N, 3]`: poses to begin with besides the random ones.
    """
    tables = PoseTables.of(*(torch.as_tensor(x, device=start.device) for x in (topology.rotatable, topology.moved)))
    inner, kept = tables.of_atoms(score.heavy)
    every = start if given is None else torch.cat([start, given])
    walk = _Walk(_quick(score), every[:, score.heavy], len(start), inner, settings, generator)
    walk.begin()
    for number in range(settings.steps(inner.torsions, len(score.heavy))):
        walk.step()
        if number % EXCHANGE == EXCHANGE - 1:
            walk.exchange()
    best = walk.ended()
    best = distinct(minimised(_of_heavy(score), best, inner, settings.exact), settings.apart, settings.poses)
    origin = torch.where(best.origin < len(start), best.origin, len(start) - 1 - best.origin)
    positions = _all_atoms(best, every, tables, kept, score.heavy)
    return Found(positions, best.energy, score.affinity(positions), origin)


def _of_heavy(score: VinaScore, maps: AffinityMaps | None = None) -> VinaScore:
    """The same score of the heavy atoms alone."""
    return VinaScore(score.site, score.types, score.pairs, score.torsion_count, cap=score.cap, maps=maps)


def _quick(score: VinaScore) -> VinaScore:
    """The score of the heavy atoms by maps."""
    return _of_heavy(score, score.maps or AffinityMaps.of(score.site, score.types))


class _Walk:
    """The chains and the best poses they have met."""

    def __init__(
        self,
        score: VinaScore,
        conformers: Tensor,
        free: int,
        tables: PoseTables,
        settings: SearchSettings,
        generator: torch.Generator,
    ) -> None:
        self.score, self.conformers, self.free, self.tables = score, conformers, free, tables
        self.settings, self.generator = settings, generator
        self.count = settings.chains(tables.torsions)
        centred = conformers - conformers.mean(1, keepdim=True)
        self.gyration = float(centred.square().sum(-1).mean().sqrt())

    def begin(self) -> None:
        """Random and given starts, shortly minimised; the best begin the chains."""
        s, free = self.settings, self.conformers[: self.free]
        count = s.starts(self.tables.torsions, free.shape[1])
        starts = random_poses(free, self.tables, self.score.site, count, self.generator)
        parts = [minimised(self.score, part, self.tables, s.evaluations // 2) for part in _batches(starts, BATCH)]
        begun = distinct(_best(joined(parts), 4 * self.count), s.apart, self.count)
        if len(self.conformers) > self.free:
            given = minimised(self.score, self._given(), self.tables, s.evaluations)[: self.count // 2]
            begun = joined([given, begun])[: self.count]
        self.chains = begun
        self.chains = minimised(self.score, self.chains, self.tables, s.evaluations)
        self.best, self.pool = self.chains, distinct(self.chains, s.apart, self.count)

    def step(self) -> None:
        """One random step of each chain, a local search, Metropolis's rule."""
        s = self.settings
        tried = stepped(self.chains, self._random_step(len(self.chains)), self.tables)
        tried = minimised(self.score, tried, self.tables, s.evaluations)
        luck = torch.rand(len(tried), generator=self.generator).to(tried.energy)
        taken = luck < torch.exp((self.chains.energy - tried.energy) / s.temperature)
        self.chains = tried.where(taken, self.chains)
        self.best = tried.where(tried.energy < self.best.energy, self.best)

    def exchange(self) -> None:
        """The pool takes the best poses; the worst quarter of the chains begins anew from the best of the pool."""
        s = self.settings
        self.pool = distinct(joined([self.pool, self.best]), s.apart, self.count)
        count = min(len(self.chains) // 4, len(self.pool))
        worst = self.chains.energy.argsort(descending=True)[:count]
        positions, energy = self.chains.positions.clone(), self.chains.energy.clone()
        turns, origin = self.chains.turns.clone(), self.chains.origin.clone()
        positions[worst], energy[worst] = self.pool.positions[:count], self.pool.energy[:count]
        turns[worst], origin[worst] = self.pool.turns[:count], self.pool.origin[:count]
        self.chains = Poses(positions, energy, turns, origin)
        self.best = self.chains

    def ended(self) -> Poses:
        """The best poses that differ, in their minima."""
        s = self.settings
        best = distinct(joined([self.pool, self.best]), s.apart / 2, 2 * s.poses)
        best = distinct(minimised(self.score, best, self.tables, s.polish, tolerance=0.02), s.apart, s.poses + SPARE)
        return best[best.energy <= best.energy[0] + s.window]

    def _random_step(self, count: int) -> Tensor:
        """One of translation, rotation or a turn, `[count, 6 + T]`."""
        size, like = RIGID + self.tables.torsions, self.conformers
        kind = torch.randint(2 + self.tables.torsions, (count,), generator=self.generator)
        step = torch.zeros(count, size)
        shift = _in_ball(count, self.generator) * self.settings.shift
        step[:, :3] = torch.where((kind == 0)[:, None], shift, 0.0)
        turn = _in_ball(count, self.generator) * min(self.settings.shift / max(self.gyration, 0.5), pi)
        step[:, 3:RIGID] = torch.where((kind == 1)[:, None], turn, 0.0)
        angle = (2 * torch.rand(count, generator=self.generator) - 1) * pi
        rows = (kind > 1).nonzero().squeeze(-1)
        step[rows, RIGID - 2 + kind[rows]] = angle[rows]
        return step.to(like)

    def _given(self) -> Poses:
        given = self.conformers[self.free :]
        origin = torch.arange(self.free, len(self.conformers), device=given.device)
        return Poses(given, given.new_zeros(len(given)), given.new_zeros(len(given), self.tables.torsions), origin)


def distinct(poses: Poses, apart: float, count: int) -> Poses:
    """The best poses, best first, no two of them nearer than `apart` Å (root mean square distance), at most `count`."""
    poses = poses[poses.energy.argsort(stable=True)]
    flat = poses.positions.flatten(1)
    near = torch.cdist(flat, flat) < apart * poses.positions.shape[1] ** 0.5
    rows = near.cpu().numpy()
    chosen: list[int] = []
    covered = torch.zeros(len(poses), dtype=torch.bool).numpy()
    for index in range(len(poses)):
        if len(chosen) == count:
            break
        if not covered[index]:
            chosen.append(index)
            covered |= rows[index]
    return poses[torch.tensor(chosen, device=poses.energy.device)]


def _all_atoms(poses: Poses, conformers: Tensor, tables: PoseTables, kept: Tensor, heavy: Tensor) -> Tensor:
    """Every atom of the poses, hydrogens too: the conformers turned and laid on the heavy atoms."""
    angles = poses.turns.new_zeros(len(poses), tables.torsions)
    angles[:, kept] = poses.turns
    whole = turned(conformers[poses.origin], tables.rotatable, tables.moved, angles)
    return align(whole[:, heavy], poses.positions).apply(whole)


def _best(poses: Poses, count: int) -> Poses:
    """The poses of least energy: `distinct` compares all with all."""
    return poses[poses.energy.argsort()[:count]]


def _batches(poses: Poses, size: int) -> list[Poses]:
    return [poses[n * size : (n + 1) * size] for n in range(ceil(len(poses) / size))]


def _in_ball(count: int, generator: torch.Generator) -> Tensor:
    """Points uniformly in the unit ball, `[count, 3]`."""
    direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return direction * torch.rand(count, 1, generator=generator) ** (1 / 3)
