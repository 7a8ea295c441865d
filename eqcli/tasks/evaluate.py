"""Accuracy of a model on labelled structures, and an audit of what it claims."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.audit.groups import STRUCTURES, chosen_groups, require_outputs
from eqcli.engine.guest_name import GuestName
from eqcli.errors import Failure, InputError, Where
from eqcli.progress import Reporter, Silent
from eqcli.tasks.evaluate_result import EvaluateResult
from eqcli.tasks.inference import family_of, inference_provenance, load_for_inference, read_all, readable_files, runs_in
from eqcli.tasks.label_lines import reference_labels, tell

if TYPE_CHECKING:
    from eqcli.audit.result import AuditReport
    from eqcli.engine.guest_calculator import Scalar
    from eqcli.engine.model_file import ModelFile
    from eqcli.engine.predictor import Predictor
    from eqcli.io.conventions import LabelConvention
    from eqcli.io.label_summary import LabelReport
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.properties import Property
    from eqcli.report.svg import Plot
    from eqcli.tasks.evaluate_docking_result import DockingEvaluation
    from eqcli.tasks.evaluate_dynamics import DynamicsEvaluation
    from eqcli.tasks.evaluate_generator import GeneratorEvaluation
    from eqcli.tasks.evaluate_registration_result import RegistrationEvaluation

CANDIDATES = 64
"""Structures kept from the data, drawn at random, for the audit to choose from."""

WORST = "worst-rotations.extxyz"
"""Beside the report: the rotations with the largest errors."""

_ORDER = "_eqcli_order"


def evaluate(
    model: Path,
    data: Sequence[Path],
    output: Path,
    *,
    device: str = "auto",
    precision: str | None = None,
    model_arguments: Mapping[str, Scalar] | None = None,
    labels: LabelConvention | None = None,
    dataset: str | None = None,
    audit: bool | Sequence[str] = True,
    audit_structures: int = STRUCTURES,
    seed: int = 0,
    batch_atoms: int | None = None,
    predictions: bool = False,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> EvaluateResult | DynamicsEvaluation | GeneratorEvaluation | DockingEvaluation | RegistrationEvaluation:
    """Compares a model with labelled structures and audits it on a few of them.

    Without data the model is audited alone, on structures made for its elements.
    Models of motion take files of trajectories in place of structures, generators of molecules files of molecules:
    they say how likely these are. Docking models take folders or tables of complexes, registration models those of
    pairs of clouds.

    Parameters
    ----------
    model
        A model file, or the calculator of another package as `ase:module:Class`.
    data
        Files of structures; those without labels are audited only.
    output
        Folder that receives `index.html`, `report.json`, `plots/` and, from the audit, `worst-rotations.extxyz`.
    precision
        `float32` or `float64`; None is what the model was saved in.
    model_arguments
        Arguments of a calculator that is named as `ase:module:Class`.
    labels
        What the columns of the data mean.
    dataset
        Name of the data, by which comparisons of models group evaluations.
    audit
        Groups of checks by name (see :data:`eqcli.audit.groups.GROUPS`, or `all`); True makes those that are made by
        default and that the model has the outputs for, False none.
    audit_structures
        How many structures the audit looks at.
    seed
        Of the structures and the random operations of the audit.
    predictions
        Whether to write `predictions.extxyz` too, for which all structures are kept in memory until the end.

    Raises
    ------
    InputError
        The output exists, a file is missing or of unknown format, nothing in them could be evaluated, there is
        nothing to do, or a group of audits needs what the model does not give.
    """
    from eqcli.engine.predictor import Predictor
    from eqcli.report.write import DATA, PAGE, refuse_report

    report = report or Silent()
    output = Path(output)
    refuse_report(output, overwrite)
    groups = None if isinstance(audit, bool) else chosen_groups(audit)
    if not data and audit is False:
        raise InputError("there is nothing to do: no data, and no audit", hint="Name data, or leave out --no-audit.")
    family = family_of(model)
    if family == "molecules":
        from eqcli.tasks.evaluate_generator import evaluate_generator, refuse_audit

        refuse_audit(audit)
        loaded = load_for_inference(model, device, precision, model_arguments, report)
        return evaluate_generator(loaded, data, output, labels=labels, seed=seed, report=report)
    if family == "docking":
        from eqcli.tasks.evaluate_docking import evaluate_docking, refuse_docking_audit

        refuse_docking_audit(audit)
        loaded = load_for_inference(model, device, precision, model_arguments, report)
        return evaluate_docking(loaded, data, output, seed=seed, device=device, overwrite=overwrite, report=report)
    if family == "pointcloud":
        from eqcli.tasks.evaluate_registration import evaluate_with_model

        return evaluate_with_model(
            model, data, output, audit=audit, precision=precision, seed=seed, device=device, overwrite=overwrite,
            report=report,
        )  # fmt: skip
    if family == "dynamics":
        from eqcli.tasks.evaluate_dynamics import evaluate_dynamics

        loaded = load_for_inference(model, device, precision, model_arguments, report)
        asked: bool | Sequence[str] = audit if groups is None else groups
        return evaluate_dynamics(
            loaded, data, output, audit=asked, audit_systems=audit_structures, seed=seed, report=report
        )
    sources = readable_files(data) if data else []
    begun = time.monotonic()
    summaries = [reference_labels(path, labels) for path in sources]
    tell(summaries, report)
    loaded = load_for_inference(model, device, precision, model_arguments, report)
    if groups is not None:
        require_outputs(loaded.potential.outputs, groups, Where(model))
    if "guest" in loaded.header and not sources:
        message = "a calculator does not tell which elements it knows: it is audited on structures from a file"
        raise InputError(message, Where(model), "Name a file of structures.")
    result = EvaluateResult(output, output / PAGE, output / DATA, dataset=dataset)
    stream = chain.from_iterable(read_all([s.path], s.labels, result.failures.append) for s in summaries)
    predictor = Predictor(loaded, batch_atoms=batch_atoms, report=report)
    pairs = labelled_and_predicted(predictor, stream, result.failures.append)
    run = _Run(seed, predictor.properties, keep_predictions=predictions)
    if sources:
        report.start("evaluate", None, "structures")
        for labelled, predicted in pairs:
            try:
                run.add(labelled, predicted)
            except InputError as error:
                result.failures.append(Failure.of(labelled.name, error))
            report.advance(1)
        report.finish()
        run.require_any(result.failures)
    result.figures = run.errors.figures() | {"uncertainty": run.uncertainties.figures()}
    result.warnings = _warnings(result.figures, summaries, audited=audit is not False)
    for warning in result.warnings:
        report.warning(warning)
    if audit is not False:
        result.audit = _audit(loaded, run, groups, audit_structures, seed, report)
    result.seconds = time.monotonic() - begun
    _write(result, loaded, summaries, run)
    return result


def _audit(
    loaded: ModelFile, run: _Run, groups: Sequence[str] | None, count: int, seed: int, report: Reporter
) -> AuditReport:
    """The audit on some of the structures that were read, or on structures made for the model."""
    from eqcli.audit.guest import guest_subject
    from eqcli.audit.probe import describe, probe_structures
    from eqcli.audit.run import run_audit

    structures = run.candidates
    if "guest" in loaded.header:
        subject = guest_subject(loaded.potential, structures)
        return run_audit(subject, structures, seed=seed, n_structures=count, groups=groups, report=report)
    if not structures:
        structures = probe_structures(loaded.potential.elements.tolist(), seed, count)
        count = len(structures)
        report.message(describe(structures))
    audit = run_audit(loaded.potential, structures, seed=seed, n_structures=count, groups=groups, report=report)
    if not run.candidates:
        audit.note = describe(structures)
    return audit


class _Run:
    """What is gathered while structures stream by."""

    def __init__(self, seed: int, properties: Sequence[Property] = (), *, keep_predictions: bool) -> None:
        import numpy as np

        from eqcli.metrics.calibration import Uncertainties
        from eqcli.metrics.errors import Errors

        self.errors = Errors(seed=seed, properties=properties)
        self.uncertainties = Uncertainties(seed=seed)
        self.counts: dict[str, int] = {}
        self.candidates: list[Structure] = []
        self.predicted: list[Structure] | None = [] if keep_predictions else None
        self._rng = np.random.default_rng([seed, 3])

    def add(self, labelled: Structure, predicted: Structure) -> None:
        self.errors.add(labelled, predicted)
        self.uncertainties.add(labelled, predicted)
        file = str(labelled.where.file)
        self.counts[file] = self.counts.get(file, 0) + 1
        if self.predicted is not None:
            self.predicted.append(predicted)
        if len(self.candidates) < CANDIDATES:
            self.candidates.append(labelled)
        elif (place := int(self._rng.integers(self.errors.structures))) < CANDIDATES:
            self.candidates[place] = labelled

    def require_any(self, failures: Sequence[Failure]) -> None:
        """Raises InputError when no structure could be evaluated."""
        if not self.errors.structures:
            first = failures[0] if failures else Failure("", "the files hold no structures")
            raise InputError(f"no structure could be evaluated: {first.reason}", first.where)


def labelled_and_predicted(
    predictor: Predictor, structures: Iterable[Structure], on_failure: Callable[[Failure], None]
) -> Iterator[tuple[Structure, Structure]]:
    """Each structure with its labels beside its prediction; those that fail are left out."""
    waiting: deque[tuple[int, Structure]] = deque()

    def numbered() -> Iterator[Structure]:
        for index, structure in enumerate(structures):
            waiting.append((index, structure))
            yield replace(structure, info={**structure.info, _ORDER: index})

    for predicted in predictor.predict(numbered(), on_failure):
        index = predicted.info.pop(_ORDER)
        while waiting[0][0] != index:
            waiting.popleft()
        yield waiting.popleft()[1], predicted


def _warnings(figures: dict[str, Any], summaries: Sequence[LabelReport], *, audited: bool) -> list[str]:
    """What a person should look at before the errors."""
    from eqcli.report.numbers import show

    warnings = [f"{summary.path.name}: {text}" for summary in summaries for text in summary.suspicious()]
    if summaries and not figures["total"]:
        done = "the model was audited, not compared" if audited else "there is nothing to compare the model with"
        names = [name for name in figures["labelled"] if name not in ("energy", "forces", "stress")]
        what = ", ".join(["energies", "forces", *names]) if names else "energies, forces"
        warnings.append(f"the data carry no {what} or stresses: {done}")
    shift = figures["energy_shift"]
    if shift and shift["suspicious"]:
        warnings.append(
            f"the mean energy error is {shift['mean_error_eV_per_atom']:+.2f} eV per atom: model and data count "
            "energies from different zeros, or the training stopped before it learned the energy. Train with the "
            "isolated-atom energies of this data, "
            "`data.reference_energies: {H: ..., C: ...}` in eV in the recipe, or check --energy-unit and "
            f"--energy-per-atom. Without the shift the MAE is {show(shift['mae_without_shift'])} meV/atom"
        )
    return warnings


def _write(result: EvaluateResult, loaded: ModelFile, summaries: Sequence[LabelReport], run: _Run) -> None:
    from eqcli.files import sha256
    from eqcli.report.accuracy_plots import accuracy_plots, property_plots
    from eqcli.report.audit_plots import audit_plots
    from eqcli.report.calibration_plots import calibration_plots
    from eqcli.report.evaluation import Evaluation, evaluation_page
    from eqcli.report.write import write_report

    provenance = inference_provenance(loaded)
    data = [
        {
            "file": str(summary.path),
            "sha256": sha256(summary.path),
            "structures": run.counts.get(str(summary.path), 0),
            "labels": summary.sentences(),
            "convention": summary.labels.model_dump(mode="json"),
        }
        for summary in summaries
    ]
    samples = {name: reservoir.rows for name, reservoir in run.errors.samples.items()}
    shift = result.figures["energy_shift"] or {}
    hidden = shift["mean_error_eV_per_atom"] if shift.get("suspicious") else 0.0
    accuracy: list[Plot] = accuracy_plots(samples, result.figures["total"], hidden)
    accuracy += property_plots(samples, result.figures["total"].get("properties", {}))
    accuracy += calibration_plots(run.uncertainties.samples(), result.figures["uncertainty"])
    audited: list[Plot] = audit_plots(result.audit) if result.audit else []
    page = evaluation_page(
        Evaluation(
            model=_model_facts(loaded, provenance["model"]),
            figures=result.figures,
            audit=result.audit.as_dict() if result.audit else None,
            data=data,
            failures=result.failures,
            warnings=result.warnings,
            provenance={key: value for key, value in provenance.items() if key != "model"},
            accuracy_plots=accuracy,
            audit_plots=audited,
        )
    )
    content = result.as_dict() | {
        "audit": result.audit.as_dict() if result.audit else None,
        "model": {**provenance["model"], "header": loaded.header},
        "data": data,
        "dataset": result.dataset,
        "provenance": provenance,
    }
    write_report(result.output, page, content, [*accuracy, *audited])
    extra = {"predictions.extxyz": run.predicted, WORST: result.audit.worst_frames if result.audit else None}
    for name, structures in extra.items():
        _write_structures(result.output / name, structures, provenance)


def _write_structures(path: Path, structures: Sequence[Structure] | None, provenance: dict[str, Any]) -> None:
    """Writes a file beside the report; without structures the file of an older report goes away."""
    from eqcli.io import write_structures

    if structures:
        write_structures(path, structures, overwrite=True, provenance=provenance)
    elif structures is None or path.name == WORST:
        path.unlink(missing_ok=True)


def _model_facts(loaded: ModelFile, facts: dict[str, Any]) -> dict[str, Any]:
    """What the page says about the model."""
    header = loaded.header
    if guest := header.get("guest"):
        return {
            "name": GuestName.parse(guest["calculator"]).attribute,
            **guest,
            "arguments": guest["arguments"] or "none",
            "runs_in": " on ".join(reversed(runs_in(loaded))),
        }
    training = header.get("training") or {}
    recipe = training.get("recipe") or {}
    path = loaded.path or Path("model")
    return {
        "name": recipe.get("name") or f"{path.parent.name}/{path.name}",
        "file": facts["path"],
        "sha256": facts["sha256"],
        "runs_in": " on ".join(reversed(runs_in(loaded))),
        "elements": header.get("elements", []),
        "parameters": f"{header.get('parameters', 0):,}",
        "configuration": header.get("config", {}),
        "reference_energies_in_eV": header.get("reference_energies", {}),
        "trained_for": f"{training['epoch']} epochs, {training.get('step')} steps" if "epoch" in training else "",
        "trained_with": (header.get("provenance") or {}).get("packages", ""),
        "trained_at": (header.get("provenance") or {}).get("created", ""),
    }
