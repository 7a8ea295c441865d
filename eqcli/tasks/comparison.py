"""Compare models: the errors and audits of evaluations side by side, and what each model costs, measured in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.guest_name import is_guest
from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.files import require_file
from eqcli.progress import Reporter, Silent
from eqcli.tasks.comparison_result import ComparisonResult, Entry

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.io.structure import Structure
    from eqcli.metrics.cost import Action
    from eqcli.models.potentials.base import Potential

STRUCTURES = 5
"""Structures in the batch that costs are measured on."""

BUDGET_S = 20.0
"""Time for measuring all models of one data set."""

SYMMETRIES = ("rotation", "reflection", "translation", "permutation")
TABLE = "table.csv"


def compare(
    evaluations: Sequence[Path],
    output: Path,
    *,
    device: str = "auto",
    measure: bool = True,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> ComparisonResult:
    """One table, page and JSON file from reports of `evaluate`, one per model and data set.

    The models of a data set are timed on the same structures, taking turns, so that a busy machine is as busy
    for all of them.

    Parameters
    ----------
    evaluations
        `report.json` files, or the folders that hold them.
    output
        Folder that receives `index.html`, `report.json`, `table.csv` and `plots/`.
    measure
        Whether to time the models; they and the data must then still be where the evaluations found them.

    Raises
    ------
    InputError
        A file is no report of an evaluation, or the output exists.
    """
    from eqcli.report.write import DATA, PAGE, refuse_report

    report = report or Silent()
    output = Path(output)
    refuse_report(output, overwrite)
    if not evaluations:
        raise InputError("there is nothing to compare", hint="Name the report.json files of evaluations.")
    found = [read_evaluation(path) for path in evaluations]
    begun = time.monotonic()
    result = ComparisonResult(output, output / PAGE, output / DATA)
    result.entries = [entry_of(content, path) for path, content in found]
    if measure:
        _measure_all(result, [content for _, content in found], device, report)
    result.seconds = time.monotonic() - begun
    _write(result)
    return result


def read_evaluation(path: Path) -> tuple[Path, dict[str, Any]]:
    """The report of an evaluation, by its file or folder. Raises InputError for anything else."""
    from eqcli.report.write import DATA

    source = require_file(path / DATA if Path(path).is_dir() else path)
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is not valid JSON: {error}", Where(source)) from error
    if not isinstance(content, dict) or not {"figures", "model", "data"} <= content.keys():
        raise InputError("this is no report of an evaluation", Where(source), "Give the report.json of eqcli evaluate.")
    return source, content


def entry_of(content: dict[str, Any], source: Path) -> Entry:
    """What an evaluation says about its model."""
    model, header = content["model"], content["model"].get("header") or {}
    training = header.get("training") or {}
    guest = header.get("guest") or {}
    path = Path(model.get("path") or "model")
    checks = {check["key"]: check for check in (content.get("audit") or {}).get("checks", [])}
    exact = [checks[key]["value"] for key in SYMMETRIES if key in checks and checks[key]["value"] is not None]
    drift = checks.get("drift")
    return Entry(
        dataset=content.get("dataset") or (content["data"][0]["file"] if content["data"] else "no data"),
        name=(training.get("recipe") or {}).get("name") or path.parent.name or _guest_name(guest) or source.parent.name,
        kind=model.get("name") or "",
        model=guest.get("calculator") or str(path),
        arguments=guest.get("arguments") or {},
        sha256=model.get("sha256"),
        parameters=int(header.get("parameters") or 0),
        errors={
            name: {key: values[key] for key in ("mae", "rmse")}
            for name, values in content["figures"]["total"].items()
            if isinstance(values, dict) and "mae" in values
        },
        symmetry_error=max(exact) if exact else None,
        nve_drift=(drift or {}).get("figures", {}).get("drift_meV_per_atom_per_ps"),
        drift_unit=drift["unit"] if drift else "",
        audit_passed=content["audit"]["passed"] if content.get("audit") else None,
        training_seconds=training.get("seconds"),
        precision=model.get("precision") or "",
        curve=learning_curve(path.parent / "metrics.csv"),
    )


def _guest_name(guest: dict[str, Any]) -> str:
    """A calculator of another package by its class and arguments, e.g. `TBLite method=GFN2-xTB`."""
    if not guest:
        return ""
    words = [str(guest["calculator"]).rpartition(":")[2]]
    return " ".join([*words, *(f"{key}={value}" for key, value in guest["arguments"].items())])


def learning_curve(path: Path) -> list[tuple[float, float]]:
    """Step and validation error of the forces in meV/Å from the figures of a run; empty where there are none."""
    import csv

    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (float(row["step"]), 1e3 * float(row["valid_forces_mae"]))
        for row in rows
        if row.get("step") and row.get("valid_forces_mae")
    ]


def _measure_all(result: ComparisonResult, contents: list[dict[str, Any]], device: str, report: Reporter) -> None:
    from eqcli.engine.device import choose_device

    target = choose_device(device)
    result.settings = {"device": str(target), "structures": STRUCTURES}
    report.start("measuring", len(result.entries), "models")
    for dataset in result.datasets:
        members = [(e, c) for e, c in zip(result.entries, contents, strict=True) if e.dataset == dataset]
        _measure(members, target, result.failures, report)
    report.finish()


def _measure(
    members: list[tuple[Entry, dict[str, Any]]], device: Any, failures: list[Failure], report: Reporter
) -> None:
    """Times of the models of one data set; those that cannot be measured are told and keep their errors."""
    from eqcli.engine.device import threads_for
    from eqcli.metrics.cost import median_seconds, peak_bytes

    actions: list[tuple[Entry, Action | None, Action]] = []
    for entry, content in members:
        try:
            actions.append((entry, *_actions(entry, content, device)))
        except (EqcliError, OSError) as error:
            failures.append(Failure(f"{entry.name} on {entry.dataset}", str(error)))
        report.advance()
    if not actions:
        return
    with threads_for(entry_edges(actions[0][0])):
        for entry, train, evaluate in actions:
            # The first calls fill caches.
            evaluate()
            if train is not None:
                train()
                entry.peak_mb = peak_bytes(train, device) / 1e6
        timed = [a for _, *both in actions for a in both if a is not None]
        times = iter(median_seconds(timed, device, budget_s=BUDGET_S))
    for entry, train, _ in actions:
        entry.train_ms = 1e3 * next(times) if train is not None else None
        entry.evaluate_ms = 1e3 * next(times)


def entry_edges(entry: Entry) -> int:
    """A rough number of neighbour pairs of the batch, which the number of threads is chosen by."""
    return 20 * (entry.batch_atoms or 1)


def _actions(entry: Entry, content: dict[str, Any], device: Any) -> tuple[Action | None, Action]:
    """A training step without the optimiser, and energy with forces, of the first structures of the data.

    Calculators of other packages are not trained here.
    """
    from eqcli.files import sha256
    from eqcli.models.potentials.derive import evaluate
    from eqcli.tasks.inference import load_for_inference

    if entry.sha256 is not None and sha256(Path(entry.model)) != entry.sha256:
        raise InputError("the model has changed since it was evaluated", Where(Path(entry.model)))
    guest = is_guest(entry.model)
    loaded = load_for_inference(Path(entry.model), "auto" if guest else str(device), None, entry.arguments)
    potential = loaded.potential
    graph = _batch(list(_structures(content)), potential).to("cpu" if guest else device)
    entry.batch_atoms = graph.num_nodes
    potential.requires_grad_(True)

    def train() -> None:
        prediction = evaluate(potential, graph, training=True)
        parts = [prediction[name].square().mean() for name in ("energy", "forces") if name in prediction]
        sum(parts[1:], parts[0]).backward()
        potential.zero_grad()

    def run() -> None:
        evaluate(potential, graph)

    return None if guest else train, run


def _structures(content: dict[str, Any]) -> Iterator[Structure]:
    """The first structures of the data of an evaluation."""
    from itertools import islice

    from eqcli.io import read_structures
    from eqcli.io.conventions import LabelConvention

    if not content["data"]:
        raise InputError("the evaluation had no data to measure on")
    data = content["data"][0]
    labels = LabelConvention(**data.get("convention", {}))
    yield from islice(read_structures(require_file(data["file"]), labels), STRUCTURES)


def _batch(structures: list[Structure], potential: Potential) -> AtomGraph:
    from eqcli.data.graphs import structure_graphs

    return structure_graphs(structures, potential.cutoff, [1.0] * len(structures))


def _write(result: ComparisonResult) -> None:
    from eqcli.engine.provenance import provenance
    from eqcli.files import atomic_path
    from eqcli.report.comparison import comparison_page
    from eqcli.report.comparison_plots import comparison_plots
    from eqcli.report.csv_text import csv_text
    from eqcli.report.write import write_report

    content = result.as_dict()
    plots = comparison_plots(content)
    facts = provenance()
    write_report(result.output, comparison_page(content, plots, facts), content | {"provenance": facts}, plots)
    with atomic_path(result.output / TABLE) as temporary:
        temporary.write_text(csv_text(result.rows), encoding="utf-8")
