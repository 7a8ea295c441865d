"""Simulated charged particles: the n-body benchmark of equivariant networks.

The system is that of Kipf et al. (ICML 2018) in three dimensions, as Fuchs et al.
(NeurIPS 2020) and Satorras et al. (ICML 2021) use it: no box, units without a scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHUNK = 512
"""Simulations advanced together: their arrays fit into the cache."""


@dataclass(frozen=True)
class ChargedParticles:
    """The physics and the sampling.

    Attributes
    ----------
    particles
        Points in each simulation, of charge +1 or -1 with equal chances.
    spread
        Standard deviation of the first positions.
    speed
        The first speed of every particle; its direction is random.
    time_step
        Of the integrator.
    largest_force
        Bound on each component of the force on a particle: close encounters would need smaller steps. None: no bound.
    sample_every
        Steps between frames; frame k is that after `(k + 1) * sample_every` steps.
    """

    particles: int = 5
    spread: float = 1.0
    speed: float = 0.5
    time_step: float = 0.001
    largest_force: float | None = 100.0
    sample_every: int = 100


@dataclass(frozen=True)
class Frames:
    """Frames of S simulations: positions and velocities `[S, T, N, 3]`, charges `[S, N]`."""

    positions: Array
    velocities: Array
    charges: Array


def draw(system: ChargedParticles, simulations: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """First positions and velocities `[S, N, 3]` and charges `[S, N]`."""
    shape = (simulations, system.particles, 3)
    charges = rng.choice([-1.0, 1.0], size=shape[:2])
    positions = rng.normal(0.0, system.spread, shape)
    directions = rng.normal(size=shape)
    return positions, system.speed * directions / np.linalg.norm(directions, axis=2, keepdims=True), charges


def simulate(
    system: ChargedParticles,
    positions: Array,
    velocities: Array,
    charges: Array,
    frames: tuple[int, ...],
    advance: Callable[[int], object] = int,
) -> Frames:
    """The frames of that number, in ascending order, of simulations from these beginnings.

    The leapfrog: the velocities of a frame are those of half a step earlier. `advance` is told of each lot of
    simulations that is done.
    """
    parts = []
    for chunk in (slice(i, i + CHUNK) for i in range(0, len(charges), CHUNK)):
        parts.append(_simulate(system, positions[chunk], velocities[chunk], charges[chunk], frames))
        advance(len(charges[chunk]))
    x, v = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Frames(x, v, charges)


def _simulate(
    system: ChargedParticles, positions: Array, velocities: Array, charges: Array, frames: tuple[int, ...]
) -> tuple[Array, Array]:
    # Simulations along the last axis: every operation runs over contiguous memory.
    x, v = (np.ascontiguousarray(a.transpose(2, 1, 0)) for a in (positions, velocities))
    forces = PairForces(charges, system.largest_force)
    kept: list[tuple[Array, Array]] = []
    wanted = {(frame + 1) * system.sample_every for frame in frames}
    for step in range(1, max(wanted) + 1):
        v += system.time_step * forces(x)
        x += system.time_step * v
        if step in wanted:
            kept.append((x.transpose(2, 1, 0).copy(), v.transpose(2, 1, 0).copy()))
    return np.stack([x for x, _ in kept], axis=1), np.stack([v for _, v in kept], axis=1)


class PairForces:
    """Coulomb forces c_i c_j r_ij / |r_ij|^3 for charges `[S, N]`: positions `[3, N, S]` -> forces `[3, N, S]`."""

    def __init__(self, charges: Array, largest: float | None) -> None:
        pairs = np.array(list(combinations(range(charges.shape[1]), 2)), dtype=np.int64)
        self.products = np.ascontiguousarray((charges[:, pairs[:, 0]] * charges[:, pairs[:, 1]]).T)  # [pairs, S]
        self.ends = np.zeros((len(pairs), charges.shape[1]))
        self.ends[np.arange(len(pairs)), pairs[:, 0]] = 1.0
        self.ends[np.arange(len(pairs)), pairs[:, 1]] = -1.0
        self.largest = largest

    def __call__(self, x: Array) -> Array:
        r = self.ends @ x  # [3, pairs, S]
        square = (r * r).sum(0)
        r *= self.products / (square * np.sqrt(square))
        total: Array = self.ends.T @ r
        return total if self.largest is None else np.clip(total, -self.largest, self.largest, out=total)


def energy(positions: Array, velocities: Array, charges: Array) -> Array:
    """Kinetic and Coulomb energy of each simulation, `[S, N, 3]`, `[S, N, 3]`, `[S, N]` -> `[S]`."""
    total: Array = 0.5 * (velocities**2).sum((1, 2))
    for i, j in combinations(range(charges.shape[1]), 2):
        total = total + charges[:, i] * charges[:, j] / np.linalg.norm(positions[:, i] - positions[:, j], axis=1)
    return total
