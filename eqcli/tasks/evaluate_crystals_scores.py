"""Figures of one set of crystals, the generated ones or a baseline, with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from eqcli.metrics.crystals import (
    Distinct,
    Interval,
    Metre,
    Outcome,
    PredictionScores,
    Properties,
    Sameness,
    Tolerances,
    Validity,
    distances,
    distinct,
    mean_interval,
    mean_of_known_interval,
    measure,
    metre,
    properties,
    structure_prediction,
    validity,
)
from eqcli.metrics.crystals.distributions import GENERATED_SYMPREC, REFERENCE_SYMPREC
from eqcli.progress import Reporter
from eqcli.tasks.evaluate_crystals_result import GENERATED, ComparedRow, CrystalEvaluation, Figure
from eqcli.tasks.stability import few_workers

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.metrics.crystal_coverage import Coverage, Cutoffs, Prints

QUICK: Final = 10
"""How many quick measurements take as long as one comparison of crystals."""

NOTHING: Figure = (None, None, None)


@dataclass(frozen=True)
class Scoring:
    """How crystals are measured; the same for the generated ones and for every baseline."""

    tolerances: Tolerances
    ks: tuple[int, ...]
    fingerprint: str
    workers: int | None
    timeout: float | None
    bootstrap: int
    seed: int
    report: Reporter
    sameness: Sameness = field(default_factory=Sameness)

    def options(self, items: int, *, quick: bool = False) -> dict[str, Any]:
        """Workers, limit of time and reporter for a measurement of so many items; `quick` ones take milliseconds."""
        workers = few_workers(items // QUICK if quick else items, self.workers)
        return {"workers": workers, "timeout": self.timeout, "report": self.report}

    def mean(self, values: ArrayLike) -> Figure:
        return _plain(mean_interval(values, resamples=self.bootstrap, seed=self.seed))

    def mean_of_known(self, values: ArrayLike) -> Figure:
        return _plain(mean_of_known_interval(values, resamples=self.bootstrap, seed=self.seed))


@dataclass
class Sane:
    """Validity, distinctness and properties of a set."""

    validity: list[Validity]
    distinct: Distinct
    properties: list[Outcome[Properties]]

    def valid_properties(self) -> list[Properties]:
        """Properties of the valid crystals, or of the structurally valid ones where compositions were not judged."""
        judged = any(v.composition.valid is not None for v in self.validity)
        kept = [v.valid if judged else v.structural for v in self.validity]
        return [p.value for p, keep in zip(self.properties, kept, strict=True) if keep and p.value is not None]


def score_predictions(
    name: str, references: Sequence[Structure], predictions: Sequence[Sequence[Structure]], scoring: Scoring
) -> tuple[ComparedRow, PredictionScores, Metre]:
    """Match rates, RMSE, METRe and volume error of predictions for each reference."""
    made = [structure for of_target in predictions for structure in of_target]
    options = scoring.options(len(made))
    scores = structure_prediction(references, predictions, scoring.tolerances, ks=scoring.ks, **options)
    first = accumulate((len(of_target) for of_target in predictions), initial=0)
    places = [range(start, start + len(of_target)) for start, of_target in zip(first, predictions, strict=False)]
    everyone = metre(references, made, scoring.tolerances, known=scores.matches(places), **options)
    row = ComparedRow(name, len(made), without=sum(not of_target for of_target in predictions))
    for k in scoring.ks:
        rmse = scores.rmse(k)
        row.figures[f"match_rate@{k}"] = scoring.mean(np.isfinite(rmse))
        row.figures[f"rmse@{k}"] = scoring.mean_of_known(rmse)
        row.figures[f"crmse@{k}"] = scoring.mean(scores.crmse(k))
        if scores.validity_known:
            row.figures[f"match_rate_valid@{k}"] = scoring.mean(np.isfinite(scores.rmse(k, True)))
            row.figures[f"rmse_valid@{k}"] = scoring.mean_of_known(scores.rmse(k, True))
        row.figures[f"volume_error@{k}"] = scoring.mean_of_known(scores.volume_errors(k))
    row.figures["metre"] = scoring.mean(np.isfinite(everyone.rmse))
    return row, scores, everyone


def measure_sanity(structures: Sequence[Structure], training: Sequence[Structure] | None, scoring: Scoring) -> Sane:
    """What is measured in both situations."""
    quick = scoring.options(len(structures), quick=True)
    return Sane(
        validity(structures, **quick),
        distinct(structures, training, sameness=scoring.sameness, **scoring.options(len(structures))),
        properties(structures, GENERATED_SYMPREC, **quick),
    )


def reference_properties(reference: Sequence[Structure], scoring: Scoring) -> list[Properties]:
    outcomes = properties(reference, REFERENCE_SYMPREC, **scoring.options(len(reference), quick=True))
    return [outcome.value for outcome in outcomes if outcome.value is not None]


def sanity_figures(sane: Sane, reference: Sequence[Properties], scoring: Scoring) -> dict[str, Figure]:
    """Validity, uniqueness, novelty, and distances of the distributions."""
    counted = sane.distinct.figures()
    figures = {
        "valid_structure": scoring.mean([v.structural for v in sane.validity]),
        "valid_composition": scoring.mean_of_known(_known(v.composition.valid for v in sane.validity)),
        "valid": scoring.mean_of_known(_known(v.valid for v in sane.validity)),
        # A share of repeats depends on how many there are; drawing anew would make more of them.
        "uniqueness": (counted["uniqueness"], None, None),
        "novelty": NOTHING if counted["novelty"] is None else scoring.mean([r.novel for r in sane.distinct.rows]),
        "unique_and_novel": (counted["unique_and_novel"], None, None),
        "valid_unique_novel": (_all_three(sane), None, None),
    }
    gaps = distances(sane.valid_properties(), reference)
    return figures | {f"distance_{name}": (value, None, None) for name, value in gaps.items() if value is not None}


def _all_three(sane: Sane) -> float | None:
    """Share of crystals that are valid, unique and novel; None where one of these is not known of any."""
    if sane.distinct.training is None or all(v.valid is None for v in sane.validity):
        return None
    rows = zip(sane.validity, sane.distinct.rows, strict=True)
    return float(np.mean([bool(v.valid and row.unique and row.novel) for v, row in rows]))


def fingerprints(structures: Sequence[Structure], scoring: Scoring) -> tuple[Prints, list[str | None]]:
    """Fingerprints of structures and compositions, and why some have none."""
    from eqcli.metrics.crystal_coverage import stacked
    from eqcli.metrics.crystal_fingerprints import composition_fingerprint, structure_fingerprint
    from eqcli.metrics.crystal_order_parameters import order_parameter_fingerprint

    fast = scoring.fingerprint == "fast"
    function = structure_fingerprint if fast else order_parameter_fingerprint
    options = scoring.options(len(structures), quick=fast)
    shapes = measure(function, structures, label="fingerprints", **options)
    contents = measure(composition_fingerprint, structures, workers=1, timeout=scoring.timeout, label="compositions")
    reasons = [shape.failure or content.failure for shape, content in zip(shapes, contents, strict=True)]
    return stacked([shape.value for shape in shapes], [content.value for content in contents]), reasons


def coverage_figures(
    generated: Prints, reference: Prints, cutoffs: Cutoffs, scoring: Scoring
) -> tuple[dict[str, Figure], Coverage]:
    from eqcli.metrics.crystal_coverage import coverage

    found = coverage(generated, reference, cutoffs)
    return {
        "coverage_recall": scoring.mean(found.recalled),
        "coverage_precision": scoring.mean(found.precise),
    }, found


def add_curves(result: CrystalEvaluation, sane: Sane, reference: Sequence[Any]) -> None:
    """Samples of the distributions, generated and reference."""
    made = sane.valid_properties()
    for name in ("density", "volume_per_atom", "n_elements", "n_atoms", "crystal_system", "space_group"):
        result.curves[name] = {
            side: [getattr(p, name) for p in part] for side, part in ((GENERATED, made), ("reference", reference))
        }


def _known(values: Iterable[bool | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _plain(found: Interval) -> Figure:
    value, low, high = (float(number) if np.isfinite(number) else None for number in found)
    return value, low, high
