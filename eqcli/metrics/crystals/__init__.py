"""Figures of generated crystals: pure functions of lists of structures, on as many cores as there are."""

from eqcli.metrics.crystals.composition import DEFAULT_TABLE, TABLES, Verdict, composition_validity
from eqcli.metrics.crystals.convert import to_pymatgen, versions
from eqcli.metrics.crystals.distinct import Distinct, DistinctRow, distinct
from eqcli.metrics.crystals.distributions import Properties, distances, properties
from eqcli.metrics.crystals.matching import PUBLISHED, STRICT, Match, Tolerances, match_pair
from eqcli.metrics.crystals.metre import Metre, metre
from eqcli.metrics.crystals.pairing import Sameness
from eqcli.metrics.crystals.prediction import Attempt, PredictionScores, TargetRow, structure_prediction
from eqcli.metrics.crystals.validity import Validity, flags_of, validity, validity_of
from eqcli.metrics.statistics import Interval, difference_interval, mean_interval, mean_of_known_interval
from eqcli.metrics.work import Outcome, measure

__all__ = [
    "DEFAULT_TABLE",
    "PUBLISHED",
    "STRICT",
    "TABLES",
    "Attempt",
    "Distinct",
    "DistinctRow",
    "Interval",
    "Match",
    "Metre",
    "Outcome",
    "PredictionScores",
    "Properties",
    "Sameness",
    "TargetRow",
    "Tolerances",
    "Validity",
    "Verdict",
    "composition_validity",
    "difference_interval",
    "distances",
    "distinct",
    "flags_of",
    "match_pair",
    "mean_interval",
    "mean_of_known_interval",
    "measure",
    "metre",
    "properties",
    "structure_prediction",
    "to_pymatgen",
    "validity",
    "validity_of",
    "versions",
]
