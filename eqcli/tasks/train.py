"""Train a model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure
from eqcli.files import write_json
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.engine.training_module import Progress
    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session
    from eqcli.recipe.training import TrainingRecipe


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
    recipe: TrainingRecipe,
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
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_session import Session

    started = time.monotonic()
    report = report or Silent()
    target = choose_device(device)
    folder = RunFolder(output)
    plain = recipe.model_dump(mode="json", by_alias=True)
    report = report if world()[0] == 0 else Silent()

    def prepare(first: bool) -> Trainable:
        resuming = not first or folder.open(plain, resume=resume, overwrite=overwrite)
        return _prepare(recipe, folder, resuming, report)

    try:
        session = Session(recipe, plain, folder, first_process_first(prepare), target, report)
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


def _prepare(recipe: TrainingRecipe, folder: RunFolder, resuming: bool, report: Reporter) -> Trainable:
    """What the family of the recipe's model brings to training."""
    if recipe.family == "dynamics":
        from eqcli.tasks.train_dynamics import prepare_dynamics

        return prepare_dynamics(recipe, folder, resuming, report)
    if recipe.family == "generators":
        from eqcli.tasks.train_generator import prepare_generator

        return prepare_generator(recipe, folder, resuming, report)
    if recipe.family == "molecules":
        from eqcli.tasks.train_molecules import prepare_molecules

        return prepare_molecules(recipe, folder, resuming, report)
    if recipe.family == "docking":
        from eqcli.tasks.train_docking import prepare_complexes

        return prepare_complexes(recipe, folder, resuming, report)
    if recipe.family == "pointcloud":
        from eqcli.tasks.train_pointcloud import prepare_pairs

        return prepare_pairs(recipe, folder, resuming, report)
    from eqcli.tasks.train_potential import prepare_potential

    return prepare_potential(recipe, folder, resuming, report)
