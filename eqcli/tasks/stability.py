"""Which generated crystals are stable, unique and novel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import Failure, InputError
from eqcli.files import atomic_path
from eqcli.progress import Reporter, Silent
from eqcli.tasks.relax_many import ITEM, KEY, Relaxer, clear, forget, key_of, relax_many
from eqcli.tasks.stability_result import StabilityResult, StabilityRow

if TYPE_CHECKING:
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.io.structure import Structure
    from eqcli.metrics.crystal_hull import Hull
    from eqcli.metrics.crystals.pairing import Sameness
    from eqcli.metrics.work import Outcome

RELAXED, TABLE = "relaxed.h5", "stability.csv"
"""Names of the files in the output folder."""

INFO = ("formation_energy", "energy_above_hull", "certified", "stable", "unique", "novel")
"""Figures of a row that go into `info` of its relaxed crystal."""

SMALL = 300
"""Crystals up to which starting processes to compare them takes longer than comparing them."""


def stability(
    generated: Sequence[Structure],
    *,
    relaxer: str | Path,
    hull: Sequence[Structure],
    output: Path,
    training: Sequence[Structure] | None = None,
    threshold: float = 0.1,
    relaxer_arguments: Mapping[str, Scalar] | None = None,
    fmax: float = 0.02,
    smax: float = 5e-4,
    steps: int = 500,
    sameness: Sameness | None = None,
    device: str = "auto",
    workers: int | None = None,
    timeout: float | None = 300.0,
    report: Reporter | None = None,
) -> StabilityResult:
    """Relaxes crystals, cell and atoms, and says which are stable, unique and novel.

    A crystal is certified when it came to rest and is sane there: finite, no atoms on top of each other, a volume that
    its atoms can have. It is stable when certified and at most `threshold` above the hull of the reference; the
    energies of the reference must be those of the relaxer. Unique and novel are decided on the relaxed crystals, by
    pymatgen's StructureMatcher. All of it depends on the relaxer, the hull, the threshold and the tolerances, so
    the result names them.

    What is relaxed is kept in `output` as it comes: after a kill, the same call does what is left.

    Parameters
    ----------
    generated
        The crystals, in the order that their rows shall have.
    relaxer
        A model file that gives forces and stress, or a calculator of another package as `ase:module:Class`.
    hull
        Reference crystals with total energies in eV.
    output
        Folder that receives `relaxed.h5` and `stability.csv`.
    training
        The crystals that the generator was trained on; without them novelty is unknown.
    threshold
        eV per atom.
    fmax, smax, steps
        When a relaxation ends: largest force (eV/Å), largest stress (eV/Å^3), steps.
    sameness
        When two crystals count as one; by default with pymatgen's tolerances.
    workers, timeout
        As for `relax_many`.

    Raises
    ------
    InputError
        The relaxer or the hull cannot be used.
    MissingDependency
        pymatgen is not installed.
    """
    from eqcli.engine.relaxation import RelaxSettings
    from eqcli.metrics.crystal_hull import Hull
    from eqcli.metrics.crystals.pairing import Sameness

    report = report or Silent()
    if not generated:
        raise InputError("there are no crystals to relax")
    reference = Hull(hull)
    settings = RelaxSettings(fmax, smax, steps, "full")
    maker = Relaxer(str(relaxer), settings, dict(relaxer_arguments or {}), device)
    outcomes = relax_many(
        generated, maker, output, workers=workers, timeout=timeout, report=report, earlier=output / RELAXED
    )
    rule = sameness or Sameness()
    rows = [_row(item, *pair, reference, threshold) for item, pair in enumerate(zip(generated, outcomes, strict=True))]
    relaxed = [outcome.value for outcome in outcomes]
    failures = _compare(rows, relaxed, training, rule, workers, report)
    failures += [
        Failure(generated[k].name, outcome.failure, generated[k].where)
        for k, outcome in enumerate(outcomes)
        if outcome.failure
    ]
    counts = {"hull": len(hull), "training": len(training or ())}
    result = StabilityResult(None, output / TABLE, rows, threshold, maker.facts(), rule.as_dict(), counts, failures)
    _write(result, relaxed, output, key_of(generated, maker))
    forget(output)
    return result


def start_over(output: Path) -> None:
    """Removes what an earlier call of `stability` left in a folder, so that the next one relaxes everything."""
    clear(output, (RELAXED, TABLE))


def _row(item: int, start: Structure, outcome: Outcome[Structure], hull: Hull, threshold: float) -> StabilityRow:
    """What a relaxation and the hull say of one crystal."""
    from eqcli.io.structure import formula
    from eqcli.metrics.crystal_packing import faults_of

    sample = start.info.get("sample")
    row = StabilityRow(item, None if sample is None else int(sample), formula(start.numbers), len(start))
    end = outcome.value
    if end is None:
        row.reason = outcome.failure or ""
        return row
    assert end.energy is not None
    row.converged, row.steps = bool(end.info["converged"]), int(end.info["relax_steps"])
    row.energy, row.volume_per_atom = end.energy / len(end), end.volume / len(end)
    row.displacement = displacement(start, end)
    reasons = list(faults_of(end))
    if not row.converged:
        reasons.append(f"it did not come to rest in {row.steps} steps")
    row.certified = not reasons
    try:
        row.energy_above_hull, row.formation_energy = hull.energy_above_hull(end), hull.formation_energy(end)
    except InputError as error:
        reasons.append(error.message)
    row.stable = row.certified and row.energy_above_hull is not None and row.energy_above_hull <= threshold
    row.reason = "; ".join(reasons)
    return row


def displacement(start: Structure, end: Structure) -> float:
    """Root mean square way of the atoms in Å in the cell at the end, without drift and the change of the cell."""
    ways = np.linalg.solve(end.cell.T, end.positions.T).T - np.linalg.solve(start.cell.T, start.positions.T).T
    ways -= ways.mean(axis=0)
    return float(np.sqrt(((ways @ end.cell) ** 2).sum(axis=1).mean()))


def _compare(
    rows: list[StabilityRow],
    relaxed: Sequence[Structure | None],
    training: Sequence[Structure] | None,
    sameness: Sameness,
    workers: int | None,
    report: Reporter,
) -> list[Failure]:
    """Marks the certified rows as unique and novel or not; gives what could not be compared."""
    from eqcli.metrics.crystals.distinct import distinct

    chosen = [(row, end) for row, end in zip(rows, relaxed, strict=True) if row.certified and end is not None]
    count = few_workers(len(chosen), workers)
    found = distinct([end for _, end in chosen], training, sameness=sameness, workers=count, report=report)
    failures = []
    for (row, end), seen in zip(chosen, found.rows, strict=True):
        if seen.failure is not None:
            row.reason = f"it could not be compared: {seen.failure}"
            failures.append(Failure(end.name, row.reason, end.where))
            continue
        row.unique, row.novel = seen.unique, seen.novel if training is not None else None
        row.duplicate_of = None if seen.duplicate_of is None else chosen[seen.duplicate_of][0].item
        row.known_as = seen.known_as
    return failures


def few_workers(items: int, workers: int | None) -> int | None:
    """No processes for so few comparisons that starting them takes longer; `workers` where it is stated."""
    return 1 if workers is None and items < SMALL else workers


def _write(result: StabilityResult, relaxed: Sequence[Structure | None], output: Path, key: str) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.io import write_structures
    from eqcli.report.csv_text import csv_text

    output.mkdir(parents=True, exist_ok=True)
    marked = [
        _marked(structure, row) for structure, row in zip(relaxed, result.rows, strict=True) if structure is not None
    ]
    if marked:
        origin = provenance() | {"relaxer": result.relaxer, "threshold": result.threshold, KEY: key}
        write_structures(output / RELAXED, marked, overwrite=True, provenance=origin)
        result.relaxed = output / RELAXED
    with atomic_path(output / TABLE) as temporary:
        temporary.write_text(csv_text([row.as_dict() for row in result.rows]), encoding="utf-8")


def _marked(structure: Structure, row: StabilityRow) -> Structure:
    known: dict[str, Any] = {name: getattr(row, name) for name in INFO if getattr(row, name) is not None}
    return replace(structure, info={**structure.info, ITEM: row.item, **known})
