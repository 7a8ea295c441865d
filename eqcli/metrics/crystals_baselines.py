"""Crystals that no model made: what any generator of crystals has to beat.

For structure prediction a baseline answers as a model does, with at most k structures for each target. For de novo
generation it makes n structures from the training set alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from eqcli.io.structure import Structure
from eqcli.metrics.crystal_templates import Templates, substituted, with_species

RANDOM_COORDINATES: Final = "random coordinates"
RANDOM_SPECIES: Final = "random species"
TEMPLATE_SUBSTITUTION: Final = "template substitution"
COPIES: Final = "training copies"

Predictions = list[list[Structure]]


def random_coordinates(targets: Sequence[Structure], k: int, *, seed: int) -> Predictions:
    """The true cell and composition of each target with its atoms anywhere, k times."""
    found = []
    for row, target in enumerate(targets):
        rng = np.random.default_rng([seed, 1, row])
        places = (rng.random((len(target), 3)) @ target.cell for _ in range(k))
        drawn = [Structure(target.numbers, at, cell=target.cell, pbc=target.pbc) for at in places]
        found.append(_marked(drawn, row, RANDOM_COORDINATES))
    return found


def random_species(targets: Sequence[Structure], templates: Templates, k: int, *, seed: int) -> Predictions:
    """The atoms of each target in random order on the sites of k random templates of its formula and size.

    A target whose formula no template has gets none.
    """
    found = []
    for row, target in enumerate(targets):
        rng = np.random.default_rng([seed, 2, row])
        rows = templates.of_same_formula(target)
        chosen = rng.choice(rows, size=k).tolist() if len(rows) else []
        drawn = [with_species(templates.structures[i], rng.permutation(target.numbers)) for i in chosen]
        found.append(_marked(drawn, row, RANDOM_SPECIES))
    return found


def template_substitution(targets: Sequence[Structure], templates: Templates, k: int) -> Predictions:
    """The k templates of each target's formula with the nearest elements, which then become the target's.

    A target whose formula no template has gets none.
    """
    return [
        _marked(list(templates.nearest(target, k)), row, TEMPLATE_SUBSTITUTION) for row, target in enumerate(targets)
    ]


def without_prediction(predictions: Predictions) -> int:
    """Number of targets that a baseline had nothing for."""
    return sum(not of_target for of_target in predictions)


def training_copies(training: Sequence[Structure], n: int, *, seed: int) -> list[Structure]:
    """`n` structures of the training set, as they are; each at most once while they last."""
    rng = np.random.default_rng([seed, 3])
    chosen = np.concatenate([rng.permutation(len(training)) for _ in range(-(-n // len(training)))])[:n]
    return [replace(training[i], info={"sample": k, "model": COPIES}) for k, i in enumerate(chosen)]


def shuffled_species(training: Sequence[Structure], n: int, *, seed: int) -> list[Structure]:
    """`n` structures of the training set whose elements became others, drawn as often as the set has them."""
    rng = np.random.default_rng([seed, 4])
    present, counts = np.unique(np.concatenate([np.unique(s.numbers) for s in training]), return_counts=True)
    found: list[Structure] = []
    for k in range(n):
        template = training[int(rng.integers(len(training)))]
        old = np.unique(template.numbers)
        new = rng.choice(present, size=len(old), replace=False, p=counts / counts.sum())
        drawn = substituted(template, dict(zip(old.tolist(), new.tolist(), strict=True)))
        found.append(replace(drawn, info={"sample": k, "model": RANDOM_SPECIES}))
    return found


def _marked(structures: list[Structure], row: int, model: str) -> list[Structure]:
    return [
        replace(structure, info={"sample": sample, "target": row, "model": model})
        for sample, structure in enumerate(structures)
    ]
