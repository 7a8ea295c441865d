"""Structure prediction: whether what was made for a composition is its crystal."""

from __future__ import annotations

import numpy as np

from eqcli.errors import Failure
from eqcli.io.structure import Structure
from eqcli.metrics import crystals_baselines as null
from eqcli.metrics.crystal_templates import Templates
from eqcli.tasks.evaluate_crystals_input import CrystalInput
from eqcli.tasks.evaluate_crystals_result import GENERATED, CrystalEvaluation
from eqcli.tasks.evaluate_crystals_scores import (
    Sane,
    Scoring,
    add_curves,
    reference_properties,
    sanity_figures,
    score_predictions,
)


def score_structure_prediction(
    result: CrystalEvaluation, crystals: CrystalInput, sane: Sane, scoring: Scoring, baselines: bool
) -> None:
    """The rows of structure prediction, and what is common to both situations."""
    places = crystals.by_target()
    predictions = [[crystals.generated[i] for i in of_target] for of_target in places]
    row, scores, everyone = score_predictions(GENERATED, crystals.reference, predictions, scoring)
    result.compared = [row]
    for of_target, found in zip(places, scores.rows, strict=True):
        for index, attempt in zip(of_target, found.attempts, strict=False):
            entry = result.structures[index]
            entry["matched"], entry["volume_error"] = attempt.match is not None, attempt.volume_error
            entry["rmse"] = attempt.match.rmse if attempt.match else None
            entry["reason"] = "; ".join(filter(None, [entry["reason"], attempt.reason]))
            if attempt.failed and sane.validity[index].structural:
                structure = crystals.generated[index]
                result.failures.append(Failure(structure.name, f"not compared: {attempt.reason}", structure.where))
    rmse = scores.rmse(max(scoring.ks))
    result.curves["rmse"] = {GENERATED: rmse[np.isfinite(rmse)].tolist()}
    for name, made in _baseline_predictions(crystals, scoring) if baselines else ():
        row, found_scores, _ = score_predictions(name, crystals.reference, made, scoring)
        result.compared.append(row)
        rmse = found_scores.rmse(max(scoring.ks))
        result.curves["rmse"][name] = rmse[np.isfinite(rmse)].tolist()
    known = reference_properties(crystals.reference, scoring)
    result.common = {key: value[0] for key, value in sanity_figures(sane, known, scoring).items()}
    result.common["metre"] = everyone.figures()
    add_curves(result, sane, known)


def _baseline_predictions(crystals: CrystalInput, scoring: Scoring) -> list[tuple[str, list[list[Structure]]]]:
    k, targets, seed = max(scoring.ks), crystals.reference, scoring.seed
    found = [(null.RANDOM_COORDINATES, null.random_coordinates(targets, k, seed=seed))]
    if crystals.training is not None:
        templates = Templates(crystals.training)
        found.append((null.RANDOM_SPECIES, null.random_species(targets, templates, k, seed=seed)))
        found.append((null.TEMPLATE_SUBSTITUTION, null.template_substitution(targets, templates, k)))
    return found
