"""De novo generation: whether a set of crystals is valid, new and like a reference."""

from __future__ import annotations

from eqcli.io.structure import Structure
from eqcli.metrics import crystals_baselines as null
from eqcli.metrics.crystal_coverage import Cutoffs, calibrated
from eqcli.tasks.evaluate_crystals_input import CrystalInput
from eqcli.tasks.evaluate_crystals_result import GENERATED, ComparedRow, CrystalEvaluation
from eqcli.tasks.evaluate_crystals_scores import (
    Sane,
    Scoring,
    add_curves,
    coverage_figures,
    fingerprints,
    measure_sanity,
    reference_properties,
    sanity_figures,
)


def score_de_novo(
    result: CrystalEvaluation,
    crystals: CrystalInput,
    sane: Sane,
    scoring: Scoring,
    baselines: bool,
    given: Cutoffs | None,
) -> None:
    """The rows of de novo generation."""
    known = reference_properties(crystals.reference, scoring)
    prints, _ = fingerprints(crystals.reference, scoring)
    cutoffs = given or calibrated(prints)
    sets: list[tuple[str, list[Structure], Sane]] = [(GENERATED, crystals.generated, sane)]
    if baselines and crystals.training:
        n, seed = len(crystals.generated), scoring.seed
        copies = null.training_copies(crystals.training, n, seed=seed)
        shuffled = null.shuffled_species(crystals.training, n, seed=seed)
        for name, made in ((null.COPIES, copies), (null.RANDOM_SPECIES, shuffled)):
            sets.append((name, made, measure_sanity(made, crystals.training, scoring)))
    for name, made, measured in sets:
        own, reasons = fingerprints(made, scoring)
        figures, found = coverage_figures(own, prints, cutoffs, scoring)
        result.compared.append(ComparedRow(name, len(made), sanity_figures(measured, known, scoring) | figures))
        if name == GENERATED:
            result.common = {key: value[0] for key, value in result.compared[0].figures.items()}
            result.settings["coverage"] = found.as_dict()
            for entry, near, reason in zip(result.structures, found.precise.tolist(), reasons, strict=True):
                entry["near_reference"] = near
                if reason and entry["valid"] is not False:
                    entry["reason"] = "; ".join(filter(None, [entry["reason"], f"no fingerprint: {reason}"]))
    add_curves(result, sane, known)
