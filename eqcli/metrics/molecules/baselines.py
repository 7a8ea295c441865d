"""Molecules that no model made: what a generator of molecules is to be read beside.

`resampled` repeats the training set: no generator is more stable or more like it, and none of it is novel. `embedded`
has right bonds and crude geometry: what the geometry of a model adds to the SMILES of known molecules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from eqcli.errors import Failure, InputError
from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure
from eqcli.metrics.work import measure
from eqcli.progress import Reporter

RESAMPLED: Final = "resampled training"
EMBEDDED: Final = "embedded SMILES"


class Embedded(NamedTuple):
    """The structures that were found, and a row for each SMILES that has none."""

    structures: list[Structure]
    failures: list[Failure]


def resampled(training: Sequence[Structure], n: int, seed: int) -> list[Structure]:
    """`n` molecules of the training set, drawn with replacement, so that some repeat."""
    if not training:
        raise ValueError("there are no training molecules")
    chosen = np.random.default_rng([seed, 5]).integers(len(training), size=n).tolist()
    return [
        replace(training[i], info={**training[i].info, "sample": k, "seed": seed, "model": RESAMPLED})
        for k, i in enumerate(chosen)
    ]


def embedded(
    smiles: Sequence[str],
    n: int,
    seed: int,
    *,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> Embedded:
    """`n` SMILES of the training set, drawn with replacement, each embedded by ETKDGv3 and not relaxed.

    Parameters
    ----------
    timeout
        Seconds for one molecule. One that takes longer or cannot be embedded is a failure, and not drawn anew: the
        baseline would else consist of easy molecules.
    """
    if not smiles:
        raise ValueError("there are no training SMILES")
    rng = np.random.default_rng([seed, 6])
    chosen = rng.integers(len(smiles), size=n).tolist()
    seeds = rng.integers(1, 2**31 - 1, size=n).tolist()
    tasks = [(smiles[i], own) for i, own in zip(chosen, seeds, strict=True)]
    embed = partial(_embed, timeout=timeout)
    outcomes = measure(embed, tasks, workers=workers, timeout=timeout, label="embedding", report=report)
    found, failures = [], []
    for k, (outcome, (text, _)) in enumerate(zip(outcomes, tasks, strict=True)):
        if outcome.value is None:
            failures.append(Failure(f"{EMBEDDED}, {text[:60]}", outcome.failure or ""))
        else:
            info = {**outcome.value.info, "sample": k, "seed": seed, "model": EMBEDDED, "smiles": text}
            found.append(replace(outcome.value, info=info))
    return Embedded(found, failures)


def _embed(task: tuple[str, int], timeout: float | None) -> Structure:
    """One conformer of a SMILES with kekulised bonds. Raises InputError."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import AllChem as untyped

    distance_geometry: Any = untyped
    text, seed = task
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text)
        if molecule is None or molecule.GetNumAtoms() == 0:
            raise InputError("RDKit cannot read the SMILES")
        molecule = Chem.AddHs(molecule)
        parameters = distance_geometry.ETKDGv3()
        parameters.randomSeed = seed
        if timeout is not None:  # No alarm is heard inside RDKit's own code.
            parameters.timeout = math.ceil(timeout)
        for anywhere in (False, True):
            parameters.useRandomCoords = anywhere
            if distance_geometry.EmbedMolecule(molecule, parameters) == 0:
                return structure_of(molecule)
    raise InputError("ETKDGv3 finds no geometry")
