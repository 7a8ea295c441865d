"""Rows of complexes, and the tables of methods made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eqcli.errors import Failure
from eqcli.metrics.docking.docking_table import PairOutcome, method_figures
from eqcli.tasks.evaluate_docking_methods import BLIND
from eqcli.tasks.evaluate_docking_result import (
    ALL,
    SEEN_ONLY,
    UNSEEN_ONLY,
    DockingEvaluation,
    MethodRow,
    MethodTable,
)
from eqcli.tasks.evaluate_docking_run import Docked
from eqcli.tasks.evaluate_docking_training import SEEN, UNSEEN


def complex_row(one: Docked) -> dict[str, Any]:
    """What `complexes.csv` says of one complex and one method."""
    case, files = one.case, one.case.ligand.structure.where
    row: dict[str, Any] = {
        "complex": case.name,
        "protein": case.protein,
        "trained_on": case.familiar.status,
        "nearest_training_protein": case.familiar.nearest,
        "identity": case.familiar.identity,
        "method": one.method.name,
        "pocket": one.method.mode,
        "status": "failed" if one.errors is None else "ok",
        "reason": one.failure,
    }
    row |= _measured(one)
    return row | {
        "seconds": _finite(one.seconds),
        "receptor": str(case.receptor.path or case.receptor.name),
        "ligand": str(files.file or case.ligand.source),
        "ligand_atoms": int((case.ligand.structure.numbers > 1).sum()),
        "notes": "; ".join(case.notes),
    }


def _measured(one: Docked) -> dict[str, Any]:
    names = (
        "poses", "rmsd", "centroid", "kabsch_rmsd", "valid", "failed_checks", "best_rmsd", "best_rank", "best_valid",
        "score", "confidence", "clashes", "strain",
    )  # fmt: skip
    if one.errors is None:
        return dict.fromkeys(names)
    first, best, errors = one.poses[0], one.best, one.errors
    values = (
        len(one.poses), float(errors.rmsd[0]), float(errors.centroid[0]), float(errors.kabsch[0]), one.valid(0),
        failed_checks(one), float(errors.rmsd[best]), best + 1, one.valid(best), _finite(first.score),
        first.confidence, one.clashes[0] if one.clashes else None, one.strains.get(0),
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


def failed_checks(one: Docked, pose: int = 0) -> str:
    """Names of the checks that a pose fails, or why it was not checked."""
    outcome = one.checks.get(pose)
    if outcome is None:
        return ""
    if outcome.value is None:
        return f"not checked: {outcome.failure}"
    return ", ".join(outcome.value.failed)


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


@dataclass(frozen=True)
class PairRecord:
    """What is kept of one complex and one method after its files are written.

    Attributes
    ----------
    mode, status
        Whether the pocket was known; whether the model was trained on the protein.
    row
        Of `complexes.csv`.
    points
        Score (kcal/mol) and RMSD (Å) of each pose that has a score.
    """

    method: str
    mode: str
    status: str
    outcome: PairOutcome
    row: dict[str, Any]
    points: tuple[tuple[float, float], ...] = ()


def record_of(one: Docked) -> PairRecord:
    """What is kept of a pair."""
    points: list[tuple[float, float]] = []
    if one.errors is not None:
        points = [
            (float(pose.score), float(rmsd))
            for pose, rmsd in zip(one.poses, one.errors.rmsd, strict=True)
            if _finite(pose.score) is not None
        ]
    status = one.case.familiar.status
    return PairRecord(one.method.name, one.method.mode, status, one.outcome(), complex_row(one), tuple(points))


def add_tables(result: DockingEvaluation, records: Sequence[PairRecord], *, bootstrap: int, seed: int) -> None:
    """The tables: where the model says what it was trained on, parts before the whole."""
    parts = {name: [one for one in records if one.status == name] for name in (UNSEEN, SEEN)}
    for name, split, words in (
        (UNSEEN, UNSEEN_ONLY, "that the model was not trained on"),
        (SEEN, SEEN_ONLY, "that the model was trained on: what it may remember"),
    ):
        if parts[name]:
            result.tables.append(_table(split, f"{_size(parts[name])} {words}", parts[name], bootstrap, seed))
    if parts[SEEN] and parts[UNSEEN]:
        mixed = f"{_size(records)}; {_complexes(parts[SEEN])} of them of proteins that the model was trained on"
        result.tables.append(_table(ALL, mixed, records, bootstrap, seed))
    elif records and not (parts[SEEN] or parts[UNSEEN]):
        unsaid = bool(result.settings.get("network"))
        words = "; the model does not say which of them it was trained on" if unsaid else ""
        result.tables.append(_table(ALL, f"{_size(records)}{words}", records, bootstrap, seed))


def _table(split: str, words: str, records: Sequence[PairRecord], bootstrap: int, seed: int) -> MethodTable:
    by_method: dict[tuple[str, str], list[PairOutcome]] = {}
    for one in records:
        by_method.setdefault((one.method, one.mode), []).append(one.outcome)
    rows = [
        MethodRow(name, mode, method_figures(found, resamples=bootstrap, seed=seed))
        # Both pockets in one order of methods, the blind ones first.
        for (name, mode), found in sorted(by_method.items(), key=lambda item: item[0][1] != BLIND)
    ]
    return MethodTable(split, words, tuple(rows))


def _complexes(records: Sequence[PairRecord]) -> int:
    return len({one.outcome.complex for one in records})


def _size(records: Sequence[PairRecord]) -> str:
    from eqcli.report.numbers import count

    proteins = len({one.outcome.protein for one in records})
    return f"{count(_complexes(records), 'complex', 'complexes')} of {count(proteins, 'protein')}"


def pair_failures(docked: Sequence[Docked]) -> list[Failure]:
    """A row for each pair on which a method failed."""
    return [
        Failure(f"{one.case.name}, {one.method.name}, {one.method.mode}", one.failure, one.case.ligand.structure.where)
        for one in docked
        if one.errors is None
    ]
