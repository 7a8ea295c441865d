"""Extensivity, isolated atoms, batches and repeatability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqcli.audit import transforms
from eqcli.audit.compare import difference, worst
from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Outcome, Subject
from eqcli.elements import SYMBOLS
from eqcli.errors import Where
from eqcli.io.structure import FloatArray, Structure

MARGIN = 1.0
"""Å beyond the cutoff that counts as out of reach."""


def check_extensivity(subject: Subject, structures: Sequence[Structure]) -> Check | None:
    """Molecules twice, out of each other's reach; crystals with the cell doubled along every period.

    Molecules are left out where the reach is not known; None when nothing remains.
    """
    errors, names = [], []
    for structure in structures:
        if structure.pbc.any():
            bigger = [transforms.doubled(structure, int(axis)) for axis in np.flatnonzero(structure.pbc)]
            labels = [f"{structure.name}, cell doubled along {'abc'[axis]}" for axis in np.flatnonzero(structure.pbc)]
        elif subject.reach is None:
            continue
        else:
            bigger = [transforms.far_copies(structure, subject.reach + MARGIN)]
            labels = [f"{structure.name}, two copies"]
        one, *found = subject.predict([structure, *bigger], stress=True)
        errors += [
            difference(outcome, _copies(one, 2, subject), 2 * len(structure), subject.floors).worst for outcome in found
        ]
        names += labels
    if not errors:
        return None
    return Check(
        "extensivity",
        worst(errors),
        f"{len(errors)} doubled structures",
        subject.precision,
        figures={"worst_at": names[int(np.argmax(errors))]},
        distribution=errors,
    )


def check_supercell(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> Check | None:
    """Crystals in skewed supercells of two to four cells; None without crystals."""
    errors, names = [], []
    crystals = [structure for structure in structures if structure.pbc.any()]
    for index, structure in enumerate(crystals):
        rng = np.random.default_rng([seed, 601, index])
        matrices = [transforms.random_supercell(structure.pbc, rng) for _ in range(effort.others)]
        one, *found = subject.predict([structure, *(transforms.supercell(structure, m) for m in matrices)], stress=True)
        for matrix, outcome in zip(matrices, found, strict=True):
            count = round(float(np.linalg.det(matrix)))
            errors.append(
                difference(outcome, _copies(one, count, subject), count * len(structure), subject.floors).worst
            )
            names.append(f"{structure.name}, supercell {matrix.tolist()}")
    if not errors:
        return None
    found_words = f"{len(errors)} supercells of {len(crystals)} crystal{'s' if len(crystals) > 1 else ''}"
    figures = {"worst_at": names[int(np.argmax(errors))]}
    return Check("supercell", worst(errors), found_words, subject.precision, figures, errors)


def _copies(one: Outcome, count: int, subject: Subject) -> Outcome:
    """What `count` copies of a structure give together: what is per atom repeated, the stress and energies as sums."""
    forces = None if one.forces is None else np.tile(one.forces, (count, 1))
    others = {
        name: np.concatenate([value] * count) for name, value in one.others.items() if subject.outputs[name].per_atom
    }
    return Outcome(count * one.energy, count * one.interaction, forces, one.stress, others, one.has_energy)


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
    forces = [0.0 if outcome.forces is None else float(np.abs(outcome.forces).max()) for outcome in outcomes]
    errors = np.maximum(energies, forces).tolist()
    return Check(
        "isolated",
        worst(errors),
        f"alone and in a box: {_elements(subject.elements)}; stretched molecules: {len(apart)}",
        subject.precision,
        figures={
            "energy_eV": worst(energies),
            "forces": worst(forces) if "forces" in subject.outputs else None,
            "worst_at": tried[int(np.argmax(errors))].name,
        },
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
    errors = [difference(a, b, len(s), subject.floors).worst for a, b, s in zip(together, single, members, strict=True)]
    return Check("batch", worst(errors), f"{len(members)} members", subject.precision, distribution=errors)


def check_determinism(subject: Subject, structures: Sequence[Structure]) -> Check:
    """Two identical calls, bit by bit."""
    first = subject.predict(structures, stress=True)
    second = subject.predict(structures, stress=True)
    changed = sum(_changed(a, b) for a, b in zip(first, second, strict=True))
    values = sum(value.size for a in first for value in a.values.values())
    return Check("determinism", float(changed), f"{values} values compared", subject.precision)


def _changed(a: Outcome, b: Outcome) -> int:
    """How many values differ in any bit; NaN equals NaN here."""
    count = 0
    for name, x in a.values.items():
        count += int(
            np.sum(np.ascontiguousarray(x).view(np.int64) != np.ascontiguousarray(b.values[name]).view(np.int64))
        )
    return count


def _bits(values: FloatArray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.int64)


def _elements(numbers: Sequence[int]) -> str:
    """`C, H, O`, or how many where that would be a long list."""
    return ", ".join(SYMBOLS[z] for z in numbers) if len(numbers) <= 10 else f"{len(numbers)} elements"
