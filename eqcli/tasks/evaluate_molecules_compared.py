"""The sets of molecules against the reference: geometry, strain, checks and properties, rows, and samples for plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from eqcli.metrics.molecules.distances_js import Comparison, compare
from eqcli.metrics.molecules.geometry import Geometry, geometries
from eqcli.metrics.molecules.histograms import BINS, pooled
from eqcli.metrics.molecules.properties import Values
from eqcli.metrics.molecules.property_distances import WANTED, property_distances, wanted_errors
from eqcli.report.numbers import count
from eqcli.tasks.evaluate_molecules_options import Scoring, plain_figure
from eqcli.tasks.evaluate_molecules_result import (
    EMBEDDED,
    GENERATED,
    REFERENCE,
    Figure,
    Figures,
    MoleculeEvaluation,
)
from eqcli.tasks.evaluate_molecules_rows import fill_rows
from eqcli.tasks.evaluate_molecules_sets import JudgedSet
from eqcli.tasks.evaluate_molecules_shape import Measured, measured

RESAMPLES: Final = 100
"""Bootstrap samples of distances between distributions, at most."""
DRAWN_TYPES: Final = 8
"""Types of lengths, angles and torsions whose values are kept for plots: the most frequent of the reference."""


def compare_sets(result: MoleculeEvaluation, sets: Sequence[JudgedSet], scoring: Scoring) -> None:
    """Adds what is measured of the molecules of each set; the last set is the reference."""
    shapes: dict[str, list[Geometry]] = {}
    found: dict[str, Measured] = {}
    for one in sets:
        valid = one.valid(result.main)
        outcomes = geometries([s for _, s in valid], **scoring.options(len(valid)))
        shapes[one.name] = [outcome.value for outcome in outcomes if outcome.value is not None]
        found[one.name] = measured(one.bonded(result.main), valid, scoring, scoring.checked(one.name))
        found[one.name].failures += [
            (index, f"no geometry: {outcome.failure}")
            for (index, _), outcome in zip(valid, outcomes, strict=True)
            if outcome.failure is not None
        ]
        entry = result.sets[one.name]
        entry.strain, entry.checks = found[one.name].strain, found[one.name].checks
    _add_geometry(result, shapes, scoring)
    _add_properties(result, sets, found, scoring)
    fill_rows(result.molecules, found[GENERATED])
    if lost := found[GENERATED].failures:
        result.warnings.append(
            f"{count(len(lost), 'measurement')} of single molecules failed; the column `failure` of the table says why"
        )
    result.curves |= _curves(shapes, found)


def _resamples(scoring: Scoring) -> int:
    return min(RESAMPLES, scoring.bootstrap)


def _add_geometry(result: MoleculeEvaluation, shapes: Mapping[str, Sequence[Geometry]], scoring: Scoring) -> None:
    """Distances to the reference. The reference has the floor: what a sample of it as large as the generated gets."""
    known = shapes[REFERENCE]
    for name, made in shapes.items():
        if name == REFERENCE:
            continue
        compared = compare(made, known, resamples=_resamples(scoring), seed=scoring.seed)
        result.sets[name].geometry = {
            f"js_{kind}": plain_figure(found.distance, found.n_generated) for kind, found in compared.items()
        }
        if name == GENERATED:
            result.sets[REFERENCE].geometry = {
                f"js_{kind}": plain_figure(found.floor, found.n_reference) for kind, found in compared.items()
            }
            result.geometry_types = {kind: _types(compared[kind]) for kind in BINS}
            result.settings["outside"] = {kind: compared[kind].outside for kind in BINS}


def _types(found: Comparison) -> dict[str, dict[str, Any]]:
    return {
        name: {"js": one.distance, "floor": one.floor, "generated": one.generated, "reference": one.reference}
        for name, one in found.types.items()
    }


def _add_properties(
    result: MoleculeEvaluation, sets: Sequence[JudgedSet], found: Mapping[str, Measured], scoring: Scoring
) -> None:
    known = list(found[REFERENCE].values.values())
    for one in sets:
        if one.name == REFERENCE:
            continue
        made = list(found[one.name].values.values())
        distances = property_distances(made, known, resamples=_resamples(scoring), seed=scoring.seed)
        figures: Figures = {}
        for name, distance in distances.items():
            n = distance.js.n_generated
            figures[f"distance_{name}"] = plain_figure(distance.wasserstein, n)
            figures[f"mean_{name}"] = plain_figure(distance.mean, n)
        result.sets[one.name].properties = figures
        if one.name == GENERATED:
            figures |= _wanted(result, one, found[GENERATED].values, known, scoring)
            result.sets[REFERENCE].properties = {
                f"{what}_{name}": plain_figure(value, distance.js.n_reference)
                for name, distance in distances.items()
                for what, value in (("distance", distance.wasserstein_floor), ("mean", distance.reference_mean))
            }


def _wanted(
    result: MoleculeEvaluation,
    made: JudgedSet,
    values: Mapping[int, Values],
    known: Sequence[Values],
    scoring: Scoring,
) -> Figures:
    """Errors of the properties that molecules were generated for, beside those of any molecule of the reference."""
    found = [values.get(index) for index in range(len(made.structures))]
    errors = wanted_errors(made.structures, found, known, resamples=scoring.bootstrap, seed=scoring.seed)
    figures: dict[str, Figure] = {}
    for name, error in errors.items():
        figures[f"mae_{name}"] = plain_figure(error.mae, error.n)
        figures[f"mae_of_shuffled_{name}"] = plain_figure(error.mae_of_shuffled, error.n)
        if error.missing:
            result.warnings.append(f"{error.missing} molecules with `{WANTED}{name}` have no computed value of it")
    asked = {key for structure in made.structures for key in structure.info if key.startswith(WANTED)}
    for key in sorted(asked - {WANTED + name for name in errors}):
        hint = "" if scoring.xtb else "; `--xtb` computes gap and dipole"
        result.warnings.append(f"nothing was computed to compare `{key}` with{hint}")
    return figures


def _curves(shapes: Mapping[str, Sequence[Geometry]], found: Mapping[str, Measured]) -> dict[str, Any]:
    """Samples of the distributions; the form stands in `report.molecules_plots`."""
    crude = [name for name in (GENERATED, EMBEDDED, REFERENCE) if name in shapes]
    curves: dict[str, Any] = {}
    for kind in BINS:
        sides = {name: pooled(shapes[name], kind) for name in crude}
        most = sorted(sides[REFERENCE], key=lambda name: (-len(sides[REFERENCE][name]), name))[:DRAWN_TYPES]
        curves[kind] = {
            type_: {name: side[type_].tolist() for name, side in sides.items() if type_ in side} for type_ in most
        }
    pair = (GENERATED, REFERENCE)
    curves["n_atoms"] = {name: [shape.n_atoms for shape in shapes[name]] for name in pair}
    for category in ("elements", "bond_orders"):
        curves[category] = {name: _summed([getattr(shape, category) for shape in shapes[name]]) for name in pair}
    for method in found[GENERATED].strains:
        curves[f"strain_{method}"] = {name: found[name].strains[method] for name in crude}
    names = dict.fromkeys(key for values in found[REFERENCE].values.values() for key in values)
    curves["properties"] = {
        key: {name: [row[key] for row in found[name].values.values() if key in row] for name in pair} for key in names
    }
    return {name: sides for name, sides in curves.items() if name == "properties" or any(sides.values())}


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(total)
