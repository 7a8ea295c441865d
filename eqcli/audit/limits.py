"""Extensivity, isolated atoms, batches and repeatability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqcli.audit import transforms
from eqcli.audit.compare import difference, worst
from eqcli.audit.result import Check
from eqcli.audit.subject import Outcome, Subject
from eqcli.elements import SYMBOLS
from eqcli.errors import Where
from eqcli.io.structure import Structure

MARGIN = 1.0
"""Å beyond the cutoff that counts as out of reach."""


def check_extensivity(subject: Subject, structures: Sequence[Structure]) -> Check:
    """Molecules twice, out of each other's reach; crystals with the cell doubled along every period."""
    errors, names = [], []
    for structure in structures:
        if structure.pbc.any():
            bigger = [transforms.doubled(structure, int(axis)) for axis in np.flatnonzero(structure.pbc)]
            labels = [f"{structure.name}, cell doubled along {'abc'[axis]}" for axis in np.flatnonzero(structure.pbc)]
        else:
            bigger = [transforms.far_copies(structure, subject.cutoff + MARGIN)]
            labels = [f"{structure.name}, two copies"]
        one, *found = subject.predict([structure, *bigger], stress=True)
        errors += [difference(outcome, _twice(one)).worst for outcome in found]
        names += labels
    return Check(
        "extensivity",
        worst(errors),
        f"{len(errors)} doubled structures",
        subject.precision,
        figures={"worst_at": names[int(np.argmax(errors))]},
        distribution=errors,
    )


def _twice(one: Outcome) -> Outcome:
    assert one.forces is not None
    return Outcome(2 * one.energy, 2 * one.interaction, np.concatenate([one.forces, one.forces]), one.stress)


def check_isolated(subject: Subject, structures: Sequence[Structure]) -> Check:
    """Every element alone, in a large periodic box, and molecules stretched until no atom sees another."""
    reach = subject.cutoff + MARGIN
    box = Structure(np.array([1]), np.zeros((1, 3)), cell=2 * reach * np.eye(3), pbc=np.ones(3, dtype=bool))
    alone = [_named(Structure(np.array([z]), np.zeros((1, 3))), f"{SYMBOLS[z]} alone") for z in subject.elements]
    boxed = [
        _named(transforms.bare(box, numbers=np.array([z])), f"{SYMBOLS[z]} in a box of {2 * reach:.0f} Å")
        for z in subject.elements
    ]
    apart = [
        _named(transforms.stretched(structure, reach), f"{structure.name}, stretched")
        for structure in structures
        if not structure.pbc.any()
    ]
    tried = [*alone, *boxed, *apart]
    outcomes = subject.predict(tried)
    energies = [abs(outcome.interaction) / len(structure) for outcome, structure in zip(outcomes, tried, strict=True)]
    forces = [float(np.abs(outcome.forces).max()) for outcome in outcomes if outcome.forces is not None]
    errors = np.maximum(energies, forces).tolist()
    return Check(
        "isolated",
        worst(errors),
        f"{len(subject.elements)} elements alone and in a box, {len(apart)} stretched molecules",
        subject.precision,
        figures={"energy_eV": worst(energies), "forces": worst(forces), "worst_at": tried[int(np.argmax(errors))].name},
        distribution=errors,
    )


def _named(structure: Structure, name: str) -> Structure:
    structure.where = Where(name)
    return structure


def check_batch(subject: Subject, structures: Sequence[Structure]) -> Check:
    """The structures, an isolated atom among them, evaluated together and one by one."""
    lone = Structure(structures[0].numbers[:1], np.zeros((1, 3)), where=Where("an atom alone"))
    members = [structures[0], lone, *structures[1:], structures[0]]
    together = subject.predict(members, stress=True)
    single = subject.predict(members, stress=True, together=False)
    errors = [difference(a, b).worst for a, b in zip(together, single, strict=True)]
    return Check("batch", worst(errors), f"{len(members)} members", subject.precision, distribution=errors)


def check_determinism(subject: Subject, structures: Sequence[Structure]) -> Check:
    """Two identical calls, bit by bit."""
    first = subject.predict(structures, stress=True)
    second = subject.predict(structures, stress=True)
    changed = sum(_changed(a, b) for a, b in zip(first, second, strict=True))
    values = sum(1 + (0 if a.forces is None else a.forces.size) for a in first)
    return Check("determinism", float(changed), f"{values} values compared", subject.precision)


def _changed(a: Outcome, b: Outcome) -> int:
    """How many values differ in any bit; NaN equals NaN here."""
    count = 0
    for x, y in ((a.energy, b.energy), (a.forces, b.forces), (a.stress, b.stress)):
        if x is not None and y is not None:
            count += int(np.sum(np.asarray(x).view(np.int64) != np.asarray(y).view(np.int64)))
    return count
