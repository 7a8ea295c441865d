"""Molecules for the tests of what follows generation: sound ones by embedding, and the same broken in known ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from eqcli.errors import Where
from eqcli.io.smiles import embed
from eqcli.io.structure import Structure


def embedded(smiles: str, **info: Any) -> Structure:
    """The conformer of a SMILES as a generator would leave it: atoms, bonds, charges, and no SMILES."""
    frame = embed(smiles, "", Where())
    return Structure(
        frame.numbers,
        frame.positions,
        charge=frame.charge,
        info={"bonds": frame.info["bonds"], **info},
        arrays=dict(frame.arrays),
    )


def without(structure: Structure, atom: int) -> Structure:
    """The molecule without an atom and its bonds."""
    keep = np.arange(len(structure)) != atom
    bonds = [[i - (i > atom), j - (j > atom), o] for i, j, o in structure.info["bonds"] if atom not in (i, j)]
    return replace(
        structure,
        numbers=structure.numbers[keep],
        positions=structure.positions[keep],
        info={**structure.info, "bonds": bonds},
        arrays={name: values[keep] for name, values in structure.arrays.items()},
    )


def with_order(structure: Structure, bond: int, order: float) -> Structure:
    """The molecule with another order of one bond."""
    bonds = [list(b) for b in structure.info["bonds"]]
    bonds[bond][2] = order
    return replace(structure, info={**structure.info, "bonds": bonds})


def boneless(structure: Structure) -> Structure:
    """The molecule as a file without bonds has it."""
    info = {name: value for name, value in structure.info.items() if name != "bonds"}
    return replace(structure, info=info, arrays={}, charge=None)


def shaken(structure: Structure, seed: int, amount: float = 0.05) -> Structure:
    """The molecule with its atoms off their places by `amount` Å."""
    moved = np.random.default_rng(seed).normal(scale=amount, size=structure.positions.shape)
    return replace(structure, positions=structure.positions + moved)


def beside(one: Structure, other: Structure) -> Structure:
    """Two molecules as one structure, 10 Å apart."""
    n = len(one)
    bonds = [*one.info["bonds"], *([i + n, j + n, o] for i, j, o in other.info["bonds"])]
    return Structure(
        np.concatenate([one.numbers, other.numbers]),
        np.concatenate([one.positions, other.positions + np.array([10.0, 0, 0])]),
        info={**one.info, "bonds": bonds},
    )
