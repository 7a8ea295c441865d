"""Chains of Cα made for tests: helices and strands one after the other, folded back into a ball."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def made_chain(residues: int, seed: int) -> FloatArray:
    """Positions `[residues, 3]` of a fold that depends on the seed alone."""
    rng = np.random.default_rng(seed)
    points: list[FloatArray] = []
    end = np.zeros(3)
    while sum(map(len, points)) < residues:
        length = int(rng.integers(8, 18))
        k = np.arange(length)
        if rng.random() < 0.5:
            angle = np.radians(100) * k
            piece = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * k], axis=1)
        else:
            piece = np.stack([0.9 * (-1.0) ** k, np.zeros(length), 3.3 * k], axis=1)
        turn = turned(rng)
        # Back towards the middle where the piece would lead away from it.
        if (turn @ np.array([0.0, 0.0, 1.0])) @ end > 0:
            turn = turn @ np.diag([1.0, -1.0, -1.0])
        piece = (piece - piece[0]) @ turn.T + end + 3.8 * turn[:, 0]
        points.append(piece)
        end = piece[-1]
    return np.concatenate(points)[:residues]


def turned(rng: np.random.Generator) -> FloatArray:
    """A uniform rotation."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return q


def deformed(points: FloatArray, rng: np.random.Generator, size: float) -> FloatArray:
    """Bent smoothly by about `size` Å, with noise of a third of it."""
    phase, wave = rng.uniform(0, 6.28, size=3), rng.normal(size=(3, 3)) / 30
    return points + size * np.sin(points @ wave + phase) + rng.normal(size=points.shape) * size / 3
