"""Crystals of mixed sizes for benchmarks: supercells of the shipped intermetallics, shuffled, strained and rattled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqcli.io import read_structures
from eqcli.io.structure import Structure

SOURCE = Path(__file__).resolve().parents[2] / "data" / "intermetallics" / "train.extxyz"


def mixed_crystals(
    count: int,
    *,
    least: int = 5,
    most: int = 40,
    rattle: float = 0.08,
    strain: float = 0.03,
    seed: int = 0,
    source: Path = SOURCE,
) -> list[Structure]:
    """`count` crystals of `least` to `most` atoms, a function of the seed.

    Parameters
    ----------
    rattle, strain
        Standard deviations of what is added to positions (Å) and to the cell (relative).
    source
        The crystals that supercells are made of.
    """
    rng = np.random.default_rng(seed)
    known = list(read_structures(source))
    found: list[Structure] = []
    while len(found) < count:
        structure = known[int(rng.integers(len(known)))]
        repeats = rng.integers(1, 4, size=3)
        if not least <= len(structure) * int(repeats.prod()) <= most:
            continue
        found.append(_disturbed(_supercell(structure, repeats), rattle, strain, rng))
    return found


def _supercell(structure: Structure, repeats: np.ndarray) -> Structure:
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (structure.positions[None] + (shifts @ structure.cell)[:, None]).reshape(-1, 3)
    return Structure(np.tile(structure.numbers, len(shifts)), positions, structure.cell * repeats[:, None], True)


def _disturbed(structure: Structure, rattle: float, strain: float, rng: np.random.Generator) -> Structure:
    """Species shuffled among the sites, the cell strained, the atoms displaced."""
    turn = np.eye(3) + strain * rng.normal(size=(3, 3))
    positions = structure.positions @ turn + rattle * rng.normal(size=structure.positions.shape)
    return Structure(rng.permutation(structure.numbers), positions, structure.cell @ turn, True)
