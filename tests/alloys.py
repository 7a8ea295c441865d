"""Crystals for the tests of what follows generation."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from eqcli.io import read_structures
from eqcli.io.structure import Structure

INTERMETALLICS = Path(__file__).resolve().parents[1] / "data" / "intermetallics"
EMT = "ase:ase.calculators.emt:EMT"


@cache
def alloys() -> tuple[Structure, ...]:
    """The shipped training crystals."""
    return tuple(read_structures(INTERMETALLICS / "train.extxyz"))


def alloy(elements: set[int], prototype: str) -> Structure:
    """The shipped crystal of these atomic numbers and this prototype."""
    return next(s for s in alloys() if set(s.numbers.tolist()) == elements and s.info["config_type"] == prototype)


def shaken(structure: Structure, seed: int, amount: float = 0.1, **info: object) -> Structure:
    """A copy as a generator would leave it: atoms off their places by `amount` Å, cell by 3 %, no labels."""
    rng = np.random.default_rng(seed)
    strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
    places = (structure.positions + rng.normal(scale=amount, size=structure.positions.shape)) @ strain
    return replace(
        structure, positions=places, cell=structure.cell @ strain, energy=None, forces=None, stress=None, info=info
    )
