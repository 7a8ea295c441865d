"""Random poses of a ligand in a box."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from eqcli.geometry.rotations import random_rotations
from eqcli.geometry.torsions import turned
from eqcli.models.docking.local_search import Poses
from eqcli.models.docking.pose_state import PoseTables
from eqcli.models.docking.site import Site

FREE = 2.8
"""Å from any receptor atom at which the centre of a random pose may lie."""

TRIALS = 4096
"""Points of the box among which the free ones are found."""


def random_poses(conformers: Tensor, tables: PoseTables, site: Site, count: int, generator: torch.Generator) -> Poses:
    """Poses with random torsions and rotations whose centres lie at free points of the box."""
    like = conformers
    origin = torch.randint(len(conformers), (count,), generator=generator).to(like.device)
    turns = ((2 * torch.rand(count, tables.torsions, generator=generator) - 1) * pi).to(like)
    shape = turned(conformers[origin], tables.rotatable, tables.moved, turns)
    shape = shape - shape.mean(1, keepdim=True)
    turn = random_rotations(count, generator=generator).to(like)
    positions = shape @ turn.transpose(-1, -2) + free_points(site, count, generator)[:, None]
    return Poses(positions, like.new_zeros(count), turns, origin)


def free_points(site: Site, count: int, generator: torch.Generator) -> Tensor:
    """Random points of the box `[count, 3]`, away from the atoms of the receptor where there is such a place."""
    trials = (torch.rand(TRIALS, 3, generator=generator) - 0.5).to(site.size) * site.size + site.centre
    free = trials[(torch.cdist(trials, site.positions) >= FREE).all(-1)]
    places = free if len(free) else trials
    return places[torch.randint(len(places), (count,), generator=generator).to(places.device)]
