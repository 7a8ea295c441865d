"""Random numbers of dynamics: a function of seed, structure, step, atom and purpose, with nothing to remember.

A structure's path is therefore the same whichever others are in its batch, and
when it is interrupted; steps are counted on in a run that goes on from the last
frames of another, so that no number is used again. The numbers are mixed counters, see
:class:`eqcli.diffusion.noise.SeededNoise`; no two (item, step) below 2^31 and
2^32 share a counter.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import torch

from eqcli.diffusion.noise import SeededNoise

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.state import BatchState

_SPREAD = 0xD1342543DE82EF95
"""An odd number: seeds that follow each other share no stream of any purpose."""


class Purpose(IntEnum):
    """What random numbers are for."""

    VELOCITIES = 1
    LANGEVIN = 2
    CELL = 3
    CHAIN = 4


BEFORE = "motion/before"
"""Name of the steps that each structure had taken before this run, `[B]` int64; none where a state has no such name."""


def steps_in_all(state: BatchState) -> Tensor:
    """Steps of each structure since its dynamics first began, in this run and in those before it, `[B]` int64."""
    before = state.systems.get(BEFORE)
    return state.step if before is None else before + state.step


def atom_normals(state: BatchState, step: Tensor, seed: int, purpose: Purpose) -> Tensor:
    """Standard normal numbers for each atom in step `step`, `[B]` int64, of its structure: `[N, 3]` float64."""
    return _noise(state, step, seed, purpose).normal_atoms(3)


def structure_normals(state: BatchState, step: Tensor, seed: int, purpose: Purpose, width: int) -> Tensor:
    """Standard normal numbers for each structure in its step `step`: `[B, width]` float64."""
    return _noise(state, step, seed, purpose).normal_crystals(width)


def _noise(state: BatchState, step: Tensor, seed: int, purpose: Purpose) -> SeededNoise:
    device = state.batch.device
    first = torch.searchsorted(state.batch, torch.arange(state.n_structures, device=device))
    within = torch.arange(len(state.batch), device=device) - first[state.batch]
    stream = (seed ^ (purpose * _SPREAD)) % 2**64
    return SeededNoise(stream, (state.item << 32) | step, state.batch, within, torch.float64)
