"""Figures of generated molecules: pure functions of lists of structures, on as many cores as there are."""

from eqcli.metrics.molecules.baselines import EMBEDDED, RESAMPLED, Embedded, embedded, resampled
from eqcli.metrics.molecules.bond_rule import bonds_by_rule
from eqcli.metrics.molecules.distinct import (
    DistinctMolecule,
    KnownMolecules,
    canonical,
    distinct_molecules,
    expected_unique,
    known_molecules,
)
from eqcli.metrics.molecules.judge import Judgement, Judging, judge
from eqcli.metrics.molecules.table import MEANINGS, figures
from eqcli.metrics.molecules.valence import VALENCES, Valences, stable_atoms

__all__ = [
    "EMBEDDED",
    "MEANINGS",
    "RESAMPLED",
    "VALENCES",
    "DistinctMolecule",
    "Embedded",
    "Judgement",
    "Judging",
    "KnownMolecules",
    "Valences",
    "bonds_by_rule",
    "canonical",
    "distinct_molecules",
    "embedded",
    "expected_unique",
    "figures",
    "judge",
    "known_molecules",
    "resampled",
    "stable_atoms",
]
