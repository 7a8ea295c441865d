"""The sets of molecules that are measured, and what each molecule of them is judged to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from eqcli.metrics.molecules import (
    EMBEDDED,
    RESAMPLED,
    Judgement,
    Judging,
    KnownMolecules,
    bonds_by_rule,
    embedded,
    figures,
    judge,
    known_molecules,
    resampled,
)
from eqcli.metrics.work import measure
from eqcli.tasks.evaluate_molecules_input import MoleculeInput, with_known_bonds
from eqcli.tasks.evaluate_molecules_options import MOST_REFERENCE, Scoring, plain_figure
from eqcli.tasks.evaluate_molecules_result import BY_RULE, GENERATED, OWN, REFERENCE, Figures

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.metrics.molecules.judge import BondSource


@dataclass
class JudgedSet:
    """Molecules of one set with their judgements.

    Attributes
    ----------
    structures
        With own bonds where they are used.
    verdicts
        Of each molecule by way of taking bonds; None for one that could not be judged.
    reasons
        Why it could not be, by way and index.
    """

    name: str
    structures: list[Structure]
    verdicts: dict[str, list[Judgement | None]] = field(default_factory=dict)
    reasons: dict[str, dict[int, str]] = field(default_factory=dict)

    def picked(self, name: str, indices: Sequence[int]) -> JudgedSet:
        """Some of the molecules, as a set of another name."""
        return JudgedSet(
            name,
            [self.structures[i] for i in indices],
            {way: [verdicts[i] for i in indices] for way, verdicts in self.verdicts.items()},
        )

    def smiles(self, way: str) -> list[str]:
        """SMILES of the valid molecules."""
        return [verdict.smiles for verdict in self.verdicts[way] if verdict is not None and verdict.valid]

    def bonded(self, way: str) -> list[tuple[int, Structure]]:
        """All molecules with their places, and with these bonds as bonds of the structure."""
        return [
            (index, with_rule_bonds(structure) if way == BY_RULE else structure)
            for index, structure in enumerate(self.structures)
        ]

    def valid(self, way: str) -> list[tuple[int, Structure]]:
        """Those that are valid and in one piece."""
        verdicts = self.verdicts[way]
        return [
            (index, with_rule_bonds(structure) if way == BY_RULE else structure)
            for index, (structure, verdict) in enumerate(zip(self.structures, verdicts, strict=True))
            if verdict is not None and verdict.valid_and_connected
        ]


def judged(name: str, structures: Sequence[Structure], ways: Sequence[str], scoring: Scoring) -> JudgedSet:
    """The set with its judgements."""
    found = JudgedSet(name, list(structures))
    for way in ways:
        function = partial(judge, settings=Judging(cast("BondSource", way), scoring.table(way)))
        label = f"judge {name} by {'the bond rule' if way == BY_RULE else 'own bonds'}"
        outcomes = measure(function, found.structures, label=label, **scoring.options(len(structures)))
        found.verdicts[way] = [outcome.value for outcome in outcomes]
        found.reasons[way] = {i: outcome.failure for i, outcome in enumerate(outcomes) if outcome.failure is not None}
    return found


def judged_sets(
    molecules: MoleculeInput, scoring: Scoring, baselines: bool, settings: dict[str, Any]
) -> tuple[list[JudgedSet], dict[str, KnownMolecules]]:
    """The generated molecules, the baselines and the reference; and the known molecules by way of taking bonds.

    `settings` receives where bonds came from and how many molecules there are of each kind.
    """
    ways = molecules.bonds
    training, sources = _bonded(molecules.training, ways, scoring, baselines)
    settings["training_bonds"] = sources
    known = judged("training", training, tuple(dict.fromkeys([*ways, OWN] if baselines else ways)), scoring)
    sets = [judged(GENERATED, molecules.generated, ways, scoring)]
    if baselines:
        sets += _baselines(known, len(molecules.generated), ways, scoring, settings)
    sets.append(_reference(molecules, known, scoring, settings))
    return sets, {way: known_molecules(known.smiles(way)) for way in ways}


def _bonded(
    structures: Sequence[Structure], ways: Sequence[str], scoring: Scoring, needed: bool
) -> tuple[list[Structure], dict[str, int]]:
    """The structures with bonds where bonds of their own are used."""
    if OWN in ways or needed:
        return with_known_bonds(structures, scoring)
    return list(structures), {}


def _baselines(
    known: JudgedSet, n: int, ways: Sequence[str], scoring: Scoring, settings: dict[str, Any]
) -> list[JudgedSet]:
    copies = resampled(known.structures, n, scoring.seed)
    sets = [judged(RESAMPLED, copies, ways, scoring)]
    if smiles := known.smiles(OWN):
        made = embedded(smiles, n, scoring.seed, **scoring.options(n, 5.0))
        settings["embedded"] = {"made": len(made.structures), "failed": len(made.failures)}
        if made.structures:
            sets.append(judged(EMBEDDED, made.structures, ways, scoring))
    return sets


def _reference(molecules: MoleculeInput, known: JudgedSet, scoring: Scoring, settings: dict[str, Any]) -> JudgedSet:
    """The reference, or a sample of it where it is large."""
    total = len(molecules.reference)
    chosen = np.arange(total)
    if total > MOST_REFERENCE:
        chosen = np.sort(np.random.default_rng([scoring.seed, 7]).permutation(total)[:MOST_REFERENCE])
        settings["reference_sample"] = MOST_REFERENCE
    if molecules.training is molecules.reference:
        settings["reference_bonds"] = settings["training_bonds"]
        return known.picked(REFERENCE, chosen.tolist())
    structures = [molecules.reference[i] for i in chosen]
    structures, settings["reference_bonds"] = _bonded(structures, molecules.bonds, scoring, needed=False)
    return judged(REFERENCE, structures, molecules.bonds, scoring)


def verdict_figures(found: JudgedSet, way: str, known: KnownMolecules, scoring: Scoring) -> Figures:
    """Stability, validity, uniqueness and novelty."""
    verdicts = found.verdicts[way]
    intervals = figures(verdicts, known, resamples=scoring.bootstrap, seed=scoring.seed)
    valid = sum(verdict is not None and verdict.valid for verdict in verdicts)
    number = {"unique": valid, "unique_published": valid, "novel": valid}
    return {name: plain_figure(value, number.get(name, len(verdicts))) for name, value in intervals.items()}


def with_rule_bonds(structure: Structure) -> Structure:
    """The structure with the bonds of the rule as its own, and without formal charges, which the rule does not know."""
    bonds = [list(bond) for bond in bonds_by_rule(structure.numbers, structure.positions)]
    arrays = {name: values for name, values in structure.arrays.items() if name != "formal_charge"}
    return replace(structure, info=structure.info | {"bonds": bonds}, arrays=arrays)
