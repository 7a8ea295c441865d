"""The physics of docking one ligand: a search of boxes by the score of Vina's form, and the score of given poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.engine.docking_box import Box, box_around

if TYPE_CHECKING:
    from eqcli.engine.docking_receptor import PreparedReceptor
    from eqcli.io.ligand_topology import LigandTopology
    from eqcli.models.docking.vina_score import VinaScore

FloatArray = NDArray[np.float64]

REACH = 4.0
"""Å around poses that are scored or started from, where no box was given."""

CAP = 10.0
"""kcal/mol that an atom's repulsion counts at most while poses are far from any minimum."""


@dataclass(frozen=True)
class Start:
    """Where a search begins.

    Attributes
    ----------
    box
        What it stays in.
    pocket
        The number of the pocket, 0 for another place.
    poses
        `[S, N, 3]` Å, poses to begin with, beside those that the search draws; may be empty.
    share
        Of the whole effort.
    lasting
        Whether the box is that of the next ligands too, so that its maps are worth keeping.
    """

    box: Box
    pocket: int
    poses: FloatArray
    share: float
    lasting: bool = True


@dataclass(frozen=True)
class Candidate:
    """What a search found: positions `[N, 3]` Å, the affinity in kcal/mol, and the pocket it began in."""

    positions: FloatArray
    affinity: float
    pocket: int


def searched(
    prepared: PreparedReceptor,
    topology: LigandTopology,
    conformers: FloatArray,
    starts: Sequence[Start],
    *,
    count: int,
    effort: float,
    seed: int,
) -> list[Candidate]:
    """The best poses of each start, the best first.

    Parameters
    ----------
    conformers
        `[C, N, 3]` Å; each pose keeps the bonds, angles and rings of one.
    count
        Poses of each start.
    """
    from eqcli.models.docking.search import search
    from eqcli.models.docking.search_settings import SearchSettings

    generator = torch.Generator().manual_seed(seed)
    shapes = _single(prepared, conformers)
    found: list[Candidate] = []
    for start in starts:
        score = _search_score(prepared, start, topology)
        settings = SearchSettings(effort=effort * start.share, poses=count)
        given = _single(prepared, start.poses) if len(start.poses) else None
        best = search(score, shapes, topology, settings, generator, given=given)
        places = best.positions.cpu().double().numpy()
        affinities = exact_affinities(prepared, topology, places, start.box)
        found += [Candidate(x, a, start.pocket) for x, a in zip(places, affinities, strict=True)]
    return sorted(found, key=lambda candidate: candidate.affinity)


def exact_affinities(
    prepared: PreparedReceptor, topology: LigandTopology, positions: FloatArray, box: Box | None = None
) -> list[float]:
    """The affinity of each pose `[P, N, 3]` in kcal/mol, by sums over all pairs in float64."""
    from eqcli.models.docking.vina_score import VinaScore

    if not len(positions):
        return []
    where = box or around(positions[:, topology.heavy])
    score = VinaScore.of(prepared.site(where, torch.float64), topology)
    values = score.affinity(torch.as_tensor(positions, dtype=torch.float64, device=prepared.device))
    return [float(value) for value in values.cpu()]


def around(heavy: FloatArray) -> Box:
    """A box that holds the heavy atoms of poses `[P, H, 3]`."""
    return box_around(heavy.reshape(-1, 3), REACH)


def _search_score(prepared: PreparedReceptor, start: Start, topology: LigandTopology) -> VinaScore:
    """What a search minimises, interpolated from maps."""
    from eqcli.models.docking.affinity_maps import AffinityMaps
    from eqcli.models.docking.vina_score import VinaScore

    site, types = prepared.site(start.box), torch.as_tensor(topology.types)
    known = prepared.maps(start.box)
    maps = AffinityMaps.of(site, types) if known is None else known.covering(types)
    if start.lasting:
        prepared.keep_maps(start.box, maps)
    return VinaScore.of(site, topology, cap=CAP, maps=maps)


def _single(prepared: PreparedReceptor, positions: FloatArray) -> torch.Tensor:
    return torch.as_tensor(positions, dtype=torch.float32, device=prepared.device)
