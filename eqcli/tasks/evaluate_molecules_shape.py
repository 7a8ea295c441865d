"""Strain, checks and properties of the molecules of one set, with what stands in the rows of single molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.metrics.molecules.checks import Checks, checks
from eqcli.metrics.molecules.properties import properties
from eqcli.metrics.molecules.strain import Strain, StrainMethod, strains
from eqcli.metrics.work import Outcome
from eqcli.tasks.evaluate_molecules_options import STRAIN_LIMIT, Scoring
from eqcli.tasks.evaluate_molecules_result import Figure, Figures

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

Places = Sequence[tuple[int, "Structure"]]
"""Molecules with their places in the set."""


@dataclass
class Measured:
    """Figures of a set, samples for plots, and columns of single molecules by their place in the set."""

    strain: dict[str, Figures] = field(default_factory=dict)
    checks: Figures | None = None
    values: dict[int, dict[str, float]] = field(default_factory=dict)
    strains: dict[str, list[float]] = field(default_factory=dict)
    columns: dict[int, dict[str, Any]] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def row(self, index: int) -> dict[str, Any]:
        return self.columns.setdefault(index, {})


def measured(everyone: Places, valid: Places, scoring: Scoring, checked: int) -> Measured:
    """What is measured of a set.

    Parameters
    ----------
    everyone
        All molecules: PoseBusters judges the first of them, invalid ones too.
    valid
        Those that are valid and in one piece, which alone have strain and properties.
    checked
        How many PoseBusters gets.
    """
    found = Measured()
    _strain(found, valid[:STRAIN_LIMIT], "mmff", scoring)
    _properties(found, valid, scoring)
    if checked:
        _checks(found, everyone[:checked], scoring)
    if scoring.xtb:
        _strain(found, valid[: scoring.xtb], "xtb", scoring)
        _xtb_properties(found, valid[: scoring.xtb], scoring)
    return found


def _strain(found: Measured, places: Places, method: StrainMethod, scoring: Scoring) -> None:
    options = scoring.options(len(places), 10.0 if method == "mmff" else 2000.0)
    outcomes = strains([structure for _, structure in places], method, **options)
    known: list[Strain] = []
    for (index, _), outcome in zip(places, outcomes, strict=True):
        if outcome.value is None:
            found.failures.append((index, f"no strain by {method}: {outcome.failure}"))
            continue
        known.append(outcome.value)
        row = found.row(index)
        row[f"strain_{method}"] = outcome.value.energy
        row[f"strain_{method}_per_atom"] = outcome.value.per_atom
        row["strain_rmsd" if method == "mmff" else f"strain_{method}_rmsd"] = outcome.value.rmsd
    found.strains[method] = [strain.energy for strain in known]
    found.strain[method] = {
        "mean": scoring.mean([strain.energy for strain in known]),
        "median": Figure(float(np.median([s.energy for s in known])) if known else None, n=len(known)),
        "per_atom": scoring.mean([strain.per_atom for strain in known]),
        "rmsd": scoring.mean([strain.rmsd for strain in known]),
        "graph_kept": scoring.mean([strain.graph_kept for strain in known]),
        "converged": scoring.mean([strain.converged for strain in known]),
    }


def _properties(found: Measured, places: Places, scoring: Scoring) -> None:
    outcomes = properties([structure for _, structure in places], **scoring.options(len(places)))
    _keep(found, places, outcomes, "no descriptors")


def _xtb_properties(found: Measured, places: Places, scoring: Scoring) -> None:
    structures = [structure for _, structure in places]
    outcomes = properties(structures, "xtb", **scoring.options(len(places), 500.0))
    _keep(found, places, outcomes, "no gap and dipole by xtb")


def _keep(found: Measured, places: Places, outcomes: Sequence[Outcome[dict[str, float]]], what: str) -> None:
    for (index, _), outcome in zip(places, outcomes, strict=True):
        if outcome.value is None:
            found.failures.append((index, f"{what}: {outcome.failure}"))
        else:
            found.values.setdefault(index, {}).update(outcome.value)
            found.row(index).update(outcome.value)


def _checks(found: Measured, places: Places, scoring: Scoring) -> None:
    options = scoring.options(len(places), 100.0)
    outcomes = checks([structure for _, structure in places], **options)
    results: list[Mapping[str, bool | None]] = []
    passes: list[bool] = []
    for (index, _), outcome in zip(places, outcomes, strict=True):
        verdict = outcome.value or Checks({})
        results.append(verdict.results)
        # A molecule that could not be checked has not passed; PoseBusters must not be escaped by taking too long.
        passes.append(outcome.value is not None and verdict.passes)
        found.row(index)["posebusters"] = passes[-1]
        found.row(index)["posebusters_failed"] = ", ".join(verdict.failed)
        if outcome.value is None:
            found.failures.append((index, f"not checked by PoseBusters: {outcome.failure}"))
    names = list(dict.fromkeys(name for result in results for name in result))
    found.checks = {"passes": scoring.mean(passes)} | {
        name: scoring.mean([float(bool(result.get(name))) for result in results]) for name in names
    }
