"""Crystals that the tests of their figures share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eqcli.io.structure import Structure


def crystal(numbers: list[int], fractions: list[list[float]], cell: object) -> Structure:
    """A periodic structure; a number as `cell` is the edge of a cube in Å."""
    matrix = np.asarray(cell, dtype=np.float64)
    matrix = matrix * np.eye(3) if matrix.ndim == 0 else matrix
    return Structure(np.array(numbers), np.array(fractions) @ matrix, matrix, np.ones(3, dtype=bool))


def cscl(a: float = 4.2) -> Structure:
    return crystal([55, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], a)


def perovskite(a: float = 3.9, numbers: tuple[int, int, int] = (38, 22, 8)) -> Structure:
    """Cubic ABX3."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return crystal([numbers[0], numbers[1], *[numbers[2]] * 3], sites, a)


def jiggled(structure: Structure, size: float, seed: int = 0) -> Structure:
    """Every coordinate moved by a normal deviate of `size` Å."""
    noise = np.random.default_rng(seed).normal(0, size, structure.positions.shape)
    return replace(structure, positions=structure.positions + noise)


def repeated(structure: Structure, counts: tuple[int, int, int]) -> Structure:
    """A supercell."""
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing="ij"), axis=-1).reshape(-1, 3)
    positions = structure.positions[None] + (shifts @ structure.cell)[:, None]
    return Structure(
        np.tile(structure.numbers, len(shifts)),
        positions.reshape(-1, 3),
        structure.cell * np.array(counts)[:, None],
        structure.pbc,
    )


def scrambled(structure: Structure, rng: np.random.Generator) -> Structure:
    """The same crystal in another description: rotated, shifted, atoms in other order, skewed cell."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    change = np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]])
    order = rng.permutation(len(structure))
    shift = rng.normal(size=3)
    return replace(
        structure,
        numbers=structure.numbers[order],
        positions=(structure.positions[order] + shift) @ turn,
        cell=change @ structure.cell @ turn,
    )
