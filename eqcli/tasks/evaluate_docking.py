"""How well ligands are docked: errors against the crystal, validity and time, beside baselines in the same table.

Every method starts from a shape that RDKit makes of the bonds; no method is shown a torsion of the crystal pose.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import Failure, InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.evaluate_docking_input import DockingCase, docking_cases
from eqcli.tasks.evaluate_docking_methods import Method, baseline_methods
from eqcli.tasks.evaluate_docking_result import COMPLEXES, METRICS, POSES, DockingEvaluation
from eqcli.tasks.evaluate_docking_rows import PairRecord, add_tables, pair_failures, record_of
from eqcli.tasks.evaluate_docking_run import check_poses, dock_case, measure_strain
from eqcli.tasks.evaluate_docking_training import TrainingProteins

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile


def evaluate_docking(
    loaded: ModelFile | None,
    complexes: Sequence[Path],
    output: Path,
    *,
    pocket: str = "blind",
    vina: bool = False,
    poses: int = 9,
    effort: float = 1.0,
    baselines: bool = True,
    posebusters: bool = True,
    pages: bool = True,
    workers: int | None = None,
    timeout: float | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    limit: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    report: Reporter | None = None,
) -> DockingEvaluation:
    """Docks complexes whose pose is known, and measures the poses.

    Parameters
    ----------
    loaded
        A docking model, or None: the baselines and the search alone.
    complexes
        Folders, tables or dataset files of complexes; see `eqcli.data.complexes.find_complexes`.
    output
        Folder that receives `index.html`, `metrics.json`, `complexes.csv`, `poses/`, `pages/` and `plots/`.
    pocket
        `blind`: nothing is known of the pocket; `reference`: the box of the crystal ligand and 5 Å on each side is;
        `both`: one beside the other.
    vina
        Whether AutoDock Vina docks too: into the same box, or blind into the best pocket.
    poses
        Of each method, at most: the n of "best of n".
    posebusters, timeout
        Whether PoseBusters checks poses, and seconds that it may take for one (60).
    pages
        Whether each complex gets a page in three dimensions.
    workers
        Processes of PoseBusters, and threads of Vina; one per core where None.

    Raises
    ------
    InputError
        The output exists, a source is missing or holds no complexes, or options contradict each other.
    MissingDependency
        `vina` needs vina and meeko, which are not installed.
    """
    from eqcli.metrics.pool import kept_processes
    from eqcli.report.write import refuse_report
    from eqcli.tasks.evaluate_docking_options import checks_wanted, settings_of
    from eqcli.tasks.evaluate_docking_rivals import docking_methods

    begun = time.monotonic()
    report, output = report or Silent(), Path(output)
    if not complexes:
        raise InputError("no complexes were given", hint="Name a folder or a table of complexes.")
    refuse_report(output, overwrite)
    result = new_result(output)
    checked = checks_wanted(posebusters, result.warnings)
    methods = [
        *(baseline_methods(pocket) if baselines else []),
        *docking_methods(loaded, pocket, vina=vina, poses=poses, effort=effort, seed=seed, device=device, cpu=workers),
    ]
    training = training_of(loaded)
    result.settings = settings_of(
        loaded, pocket, poses=poses, effort=effort, bootstrap=bootstrap, seed=seed, checked=checked, timeout=timeout,
        limit=limit, vina=vina, workers=workers,
    )  # fmt: skip
    if loaded is not None and not training.known:
        result.warnings.append(
            "the model does not say which proteins it was trained on: its figures may be memory, not skill"
        )
    cases = docking_cases(complexes, training, result.failures.append, limit=limit, seed=seed, checked=checked)
    with kept_processes() if checked or vina else nullcontext():
        records = run_cases(cases, methods, result, workers=workers, timeout=timeout, pages=pages, report=report)
    if not records:
        first = result.failures[0] if result.failures else Failure("", "there are none")
        raise InputError(f"no complex could be evaluated: {first.reason}", first.where)
    add_tables(result, records, bootstrap=bootstrap, seed=seed)
    count(result, records)
    for warning in result.warnings:
        report.warning(warning)
    result.seconds = time.monotonic() - begun
    from eqcli.tasks.evaluate_docking_files import write_evaluation

    write_evaluation(result, records, loaded, complexes)
    return result


def refuse_docking_audit(audit: bool | Sequence[str]) -> None:
    """Raises InputError where an audit was asked for by name."""
    if not isinstance(audit, bool):
        raise InputError("a docking model has no audit", hint="Leave out --audit.")


def new_result(output: Path) -> DockingEvaluation:
    """An empty result with the names of its files."""
    from eqcli.report.write import PAGE

    return DockingEvaluation(output, output / PAGE, output / METRICS, output / COMPLEXES, output / POSES)


def training_of(loaded: ModelFile | None) -> TrainingProteins:
    """What the header of a model says of the proteins that it was trained on."""
    if loaded is None:
        return TrainingProteins(None)
    stated: dict[str, Any] = loaded.header.get("training") or {}
    return TrainingProteins(stated.get("proteins"))


def run_cases(
    cases: Any,
    methods: Sequence[Method],
    result: DockingEvaluation,
    *,
    workers: int | None = None,
    timeout: float | None = None,
    pages: bool = True,
    report: Reporter | None = None,
) -> list[PairRecord]:
    """Docks each case by each method, measures the poses and writes the files of the case."""
    from eqcli.metrics.docking.validity import TIMEOUT
    from eqcli.tasks.evaluate_docking_files import write_case

    report = report or Silent()
    records: list[PairRecord] = []
    report.start("evaluate", None, "complexes")
    case: DockingCase
    for case in cases:
        docked = dock_case(case, methods)
        measure_strain(docked)
        if case.checked:
            check_poses(docked, workers=workers, timeout=TIMEOUT if timeout is None else timeout)
        result.failures += pair_failures(docked)
        records += [record_of(one) for one in docked]
        write_case(result, case, docked, pages=pages)
        report.advance(1)
    report.finish()
    return records


def count(result: DockingEvaluation, records: Sequence[PairRecord]) -> None:
    """How many complexes there are of which kind."""
    status = {one.outcome.complex: one.status for one in records}
    result.counts = {
        "complexes": len(status),
        "proteins": len({one.outcome.protein for one in records}),
        **{name: sum(found == name for found in status.values()) for name in ("seen", "unseen", "unknown")},
        "failed": len(result.failures) - sum(one.outcome.failed for one in records),
    }
    result.complexes = [one.row for one in records]
