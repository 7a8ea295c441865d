"""Structures to audit a model on when there are no data: made for the elements it knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqcli.audit.transforms import random_direction
from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.errors import Where
from eqcli.io.structure import FloatArray, Structure

ATOMS = 7
"""Of each molecule."""

CRYSTAL_ATOMS = 3

APART = 1.25
"""Atoms that are not bonded are at least this many bond lengths apart."""


def probe_structures(elements: Sequence[int], seed: int = 0, count: int = 4) -> list[Structure]:
    """`count` structures, at least two: random molecules at bonded distances and a skewed crystal.

    The elements take turns, so that all are there when there are atoms enough.

    Bond lengths are sums of covalent radii, give or take a tenth: not the geometry of any
    compound, but distances that a potential for these elements must know.
    """
    rng = np.random.default_rng([seed, 4])
    order = [int(z) for z in rng.permutation(np.array(elements))]
    many = max(1, count - 1)
    endless = [order[k % len(order)] for k in range(many * ATOMS + CRYSTAL_ATOMS)]
    molecules = [_molecule(endless[k * ATOMS : (k + 1) * ATOMS], rng) for k in range(many)]
    for index, molecule in enumerate(molecules):
        molecule.where = Where(f"probe molecule {index + 1}")
    crystal = _crystal(endless[many * ATOMS :], rng)
    crystal.where = Where("probe crystal")
    return [*molecules, crystal]


def describe(structures: Sequence[Structure]) -> str:
    """One sentence on what was audited."""
    present = sorted({int(z) for structure in structures for z in structure.numbers})
    named = ", ".join(SYMBOLS[z] for z in present)
    return (
        f"no data were given: the audit was made on {len(structures)} probe structures of {named}, random "
        "molecules at bonded distances and a skewed crystal"
    )


def _bond(a: int, b: int) -> float:
    return COVALENT_RADII[a] + COVALENT_RADII[b]


def _molecule(numbers: Sequence[int], rng: np.random.Generator) -> Structure:
    """A tree of bonds grown atom by atom; an atom that finds no room is tried elsewhere."""
    positions: list[FloatArray] = [np.zeros(3)]
    while len(positions) < len(numbers):
        new = numbers[len(positions)]
        partner = int(rng.integers(len(positions)))
        length = _bond(new, numbers[partner]) * rng.uniform(0.95, 1.1)
        place = positions[partner] + length * random_direction(rng)
        others = [k for k in range(len(positions)) if k != partner]
        if all(np.linalg.norm(place - positions[k]) > APART * _bond(new, numbers[k]) for k in others):
            positions.append(place)
    return Structure(np.array(numbers), np.array(positions))


def _crystal(numbers: Sequence[int], rng: np.random.Generator) -> Structure:
    """A triclinic cell at random, scaled so that its closest contact is a bond."""
    while True:
        cell = np.diag(rng.uniform(0.8, 1.2, size=3)) + rng.uniform(-0.25, 0.25, size=(3, 3))
        fractional = rng.uniform(size=(len(numbers), 3))
        contact = _closest(np.array(numbers), fractional @ cell, cell)
        # Fractions that happen to be close would make the cell too large to be a crystal.
        if contact > 0.2:
            scale = 1.05 / contact
            pbc = np.ones(3, dtype=bool)
            return Structure(np.array(numbers), scale * fractional @ cell, scale * cell, pbc)


def _closest(numbers: np.ndarray, positions: FloatArray, cell: FloatArray) -> float:
    """The smallest distance between atoms or their images, in bond lengths."""
    steps = np.arange(-1, 2)
    images = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    vectors = positions[:, None, None] - positions[None, :, None] + images  # [N, N, 27, 3]
    bonds = np.array([[_bond(int(a), int(b)) for b in numbers] for a in numbers])
    distances = np.linalg.norm(vectors, axis=-1) / bonds[:, :, None]
    return float(distances[distances > 1e-9].min())
