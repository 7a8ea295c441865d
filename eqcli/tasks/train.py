"""Train an interatomic potential."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError, ExitCode, Failure
from eqcli.files import atomic_path
from eqcli.progress import Reporter, Silent
from eqcli.tasks.check import inspect, reference_text
from eqcli.tasks.check_faults import data_files

if TYPE_CHECKING:
    from eqcli.data.prepare import Prepared
    from eqcli.engine.training_module import Progress
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session
    from eqcli.recipe.schema import TrainRecipe


@dataclass
class TrainResult:
    """What a training run made.

    Attributes
    ----------
    model
        The model file: the averaged weights of the epoch with the lowest validation loss.
    epochs, steps
        Epochs and optimisation steps done, resumed ones included.
    best_epoch
        The epoch of the model, counted from 1.
    metrics
        Error figures by split: `energy_mae` and `energy_rmse` (eV/atom), `forces_*` (eV/Å), `stress_*` (eV/Å^3), and
        those of each property.
    units
        Units of the error figures by quantity.
    seconds
        Wall time of this call.
    """

    model: Path
    output: Path
    epochs: int
    steps: int
    best_epoch: int
    metrics: dict[str, dict[str, float]]
    seconds: float
    units: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "output": str(self.output),
            "epochs": self.epochs,
            "steps": self.steps,
            "best_epoch": self.best_epoch,
            "metrics": self.metrics,
            "units": self.units,
            "seconds": self.seconds,
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        from eqcli.engine.training_callbacks import describe

        rows = [
            ("model", str(self.model)),
            ("epochs", f"{self.epochs} ({self.steps} steps), best {self.best_epoch}"),
        ]
        rows += [(name, describe(figures, units=self.units)) for name, figures in self.metrics.items()]
        return [*rows, ("time", f"{self.seconds:.1f} s")]


def train(
    recipe: TrainRecipe,
    output: str | Path,
    *,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> TrainResult:
    """Trains the model of a recipe; the folder `output` gets model, checkpoints, figures, split and provenance.

    Parameters
    ----------
    resume
        Go on with the run in `output` from its newest checkpoint (from the start when there is none yet).
    overwrite
        Replace a run that is there.

    Raises
    ------
    InputError
        The folder is in use (also by another process), the data cannot be trained on, or the training diverged.
    KeyboardInterrupt
        A signal stopped the training, after a checkpoint was written.
    """
    from eqcli.engine.device import choose_device
    from eqcli.engine.training_fit import first_process_first, world
    from eqcli.engine.training_potential import TrainablePotential
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session
    from eqcli.models.potentials.properties import gives_energy

    started = time.monotonic()
    report = report or Silent()
    target = choose_device(device)
    folder = RunFolder(output)
    plain = recipe.model_dump(mode="json", by_alias=True)
    report = report if world()[0] == 0 else Silent()

    def prepare(first: bool) -> Prepared:
        resuming = not first or folder.open(plain, resume=resume, overwrite=overwrite)
        return _prepare(recipe, folder, resuming, report)

    try:
        prepared = first_process_first(prepare)
        _say_statistics(prepared, report, energy=gives_energy(recipe.model))
        session = Session(recipe, plain, folder, TrainablePotential(recipe, prepared), target, report)
        return _result(session, _fit(session, folder, report), folder, started)
    finally:
        folder.close()


def _fit(session: Session, folder: RunFolder, report: Reporter) -> Progress:
    """Trains to the end, or says how to go on after an interruption."""
    from eqcli.engine.training_callbacks import Interrupted

    try:
        return session.fit()
    except Interrupted:
        report.message(f"interrupted after a checkpoint; go on with --resume -o {folder.path}")
        raise KeyboardInterrupt from None
    finally:
        report.finish()


def _result(session: Session, progress: Progress, folder: RunFolder, started: float) -> TrainResult:
    """Figures of the saved model on every held-out part, written to the model file and to `result.json`."""
    metrics = session.final_figures()
    result = TrainResult(
        model=folder.model,
        output=folder.path,
        epochs=progress.epoch,
        steps=progress.step,
        best_epoch=progress.best_epoch,
        metrics=metrics,
        seconds=time.monotonic() - started,
        units=session.trainable.facts().get("units", {}),
    )
    if session.is_first:
        write_json(folder.result, result.as_dict())
    return result


def _prepare(recipe: TrainRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> Prepared:
    """The data of the run: as stored by an earlier start, or read, checked, split and stored now."""
    from eqcli.data.prepare import Prepared, changed_inputs, input_hashes, load_prepared, save_prepared
    from eqcli.engine.provenance import provenance

    if resuming and (stored := load_prepared(folder.path, folder.data)) is not None:
        for path in changed_inputs(stored.inputs):
            report.warning(f"{path} has changed since the run was started; the run keeps the data it was started with")
        return stored
    try:
        found = inspect(recipe, report, store=folder.data)
    except EqcliError:
        folder.discard()
        raise
    for line in found.report.lines():
        if not line.startswith("warning: "):
            report.message(line)
    for text in found.report.warnings:
        report.warning(text)
    files = [path for paths in data_files(recipe).values() for path in paths]
    prepared = Prepared(folder.data, found.tables, found.split, found.statistics, input_hashes(files))
    write_json(folder.provenance, {**provenance(), "data": prepared.inputs})
    seed = recipe.data.split.seed
    save_prepared(folder.path, prepared, seed=recipe.seed if seed is None else seed)
    return prepared


def _say_statistics(prepared: Prepared, report: Reporter, *, energy: bool) -> None:
    figures = prepared.statistics
    neighbours = f"{figures.avg_num_neighbors:.2f} neighbours per atom"
    if energy:
        report.message(f"reference energies: {reference_text(figures)}")
        neighbours = f"scale {figures.scale:.4g}, shift {figures.shift:.4g} eV/atom, {neighbours}"
    report.message(neighbours)
    for name, (shift, scale) in figures.properties.items():
        report.message(f"{name}: scale {scale:.4g}, shift {shift:.4g}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON under a temporary name first."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
