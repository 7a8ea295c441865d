"""What happens around the steps: validation and best model at the end of an epoch, checkpoints, progress, signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback

from eqcli.engine.training_checkpoint import checkpoint_path
from eqcli.engine.training_signals import REQUEUE, Interrupted, Signals

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from eqcli.data.batches import BatchPlan
    from eqcli.engine.training_log import Log
    from eqcli.engine.training_module import TrainingModule
    from eqcli.progress import Reporter

MESSAGE_SECONDS = 5.0
REPORT_SECONDS = 0.2


class Clock(Callback):
    """Counts the time that training takes, validation included; it comes before those who ask for the time.

    Several processes go by the slowest clock, so that they have one learning rate and stop together.
    """

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        since = time.monotonic() - module.progress.seconds
        module.gradients.wishes["seconds"] = lambda: time.monotonic() - since

    def on_train_batch_end(self, trainer: Trainer, module: TrainingModule, *_: Any) -> None:  # type: ignore[override]
        module.progress.seconds = module.gradients.agreed["seconds"]


class EpochEnd(Callback):
    """At the end of each epoch: validation with the averaged weights, learning rate, best model, early stopping, log.

    When the time of training is up, the epoch ends at once.

    Parameters
    ----------
    plan
        The batches of training, to know where an epoch ends.
    validate
        Gives the error figures of the model as it is.
    save_best
        Writes the model as it is to the model file; called in every process.
    """

    def __init__(
        self,
        plan: BatchPlan,
        *,
        validate: Callable[[], dict[str, float]],
        save_best: Callable[[dict[str, float]], None],
        logs: list[Log],
        report: Reporter,
    ) -> None:
        self.plan = plan
        self.validate = validate
        self.save_best = save_best
        self.logs = logs
        self.report = report
        self._told = -MESSAGE_SECONDS
        self._units: dict[str, str] = {}

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        self._units = module.trainable.facts().get("units", {})
        module.batches_in_epoch = self.plan.count(module.progress.epoch)

    def on_train_batch_end(self, trainer: Trainer, module: TrainingModule, *_: Any) -> None:  # type: ignore[override]
        progress = module.progress
        time_is_up = progress.spent(module.section) >= 1.0
        if progress.batch < module.batches_in_epoch and not time_is_up:
            return
        train_loss = module.train_loss()
        with module.average.applied():
            figures = self.validate()
            if figures["loss"] < progress.best_loss:
                progress.best_loss, progress.best_epoch = figures["loss"], progress.epoch + 1
                self.save_best(figures)
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": progress.epoch + 1, "step": progress.step, "lr": lr, "train_loss": train_loss}
        row |= {f"valid_{name}": value for name, value in figures.items()}
        if trainer.is_global_zero:
            for log in self.logs:
                log.write(row)
        module.rate.after_epoch(figures["loss"])
        self._stop_early(module, figures["loss"])
        module.end_epoch()
        finished = progress.finished(module.section)
        if not finished:
            module.batches_in_epoch = self.plan.count(progress.epoch)
        trainer.should_stop = progress.stopped or time_is_up
        self._tell(module, row, last=finished)

    def _stop_early(self, module: TrainingModule, loss: float) -> None:
        section, progress = module.section.early_stopping, module.progress
        if section is None:
            return
        if loss < progress.patience_loss - section.min_delta:
            progress.patience_loss, progress.waited = loss, 0
        else:
            progress.waited += 1
            progress.stopped = progress.waited >= section.patience

    def _tell(self, module: TrainingModule, row: dict[str, float], *, last: bool) -> None:
        if not last and time.monotonic() - self._told < MESSAGE_SECONDS:
            return
        self._told = time.monotonic()
        self.report.message(f"epoch {row['epoch']}/{module.section.max_epochs}: {describe(row, 'valid_', self._units)}")
        if module.progress.stopped:
            self.report.message(f"stopped early: no improvement for {module.progress.waited} epochs")
        elif last and module.progress.epoch < module.section.max_epochs:
            self.report.message(f"stopped: the {module.section.max_minutes:g} minutes of training.max_minutes are over")


class Checkpoints(Callback):
    """Saves the state after the given time, at the end, and before an interruption is obeyed.

    Several processes do so after the same step, whichever of them was asked to stop. Until validation has chosen a
    model, `save_model` is called too, so that a run stopped within its first epoch leaves one behind.
    """

    def __init__(self, folder: Path, every_minutes: float, save_model: Callable[[], None]) -> None:
        self.folder = folder
        self.save_model = save_model
        self.every = 60 * every_minutes
        self._since = time.monotonic()
        self._saved = -1
        self.signals = Signals()

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        self._since = time.monotonic()
        module.gradients.wishes["save"] = lambda: float(time.monotonic() - self._since >= self.every)
        module.gradients.wishes["stop"] = lambda: float(self.signals.asked)
        self.signals.install()

    def on_train_batch_end(self, trainer: Trainer, module: TrainingModule, *_: Any) -> None:  # type: ignore[override]
        agreed = module.gradients.agreed
        if agreed["save"] or agreed["stop"]:
            self._save(trainer, module)
        if agreed["stop"]:
            raise Interrupted(agreed["stop"] == REQUEUE, together=True)

    def on_train_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        self._save(trainer, module)
        self.signals.restore()

    def on_exception(self, trainer: Trainer, module: TrainingModule, exception: BaseException) -> None:  # type: ignore[override]
        self.signals.restore()

    def _save(self, trainer: Trainer, module: TrainingModule) -> None:
        if self._saved != module.progress.step:
            trainer.save_checkpoint(checkpoint_path(self.folder, module.progress.step))
            self._saved = module.progress.step
            if module.progress.best_epoch < 0:
                with module.average.applied():
                    self.save_model()
        self._since = time.monotonic()


class StepReport(Callback):
    """Tells the reporter how many steps are done, a few times a second."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self._pending = 0
        self._told = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: TrainingModule, *_: Any) -> None:  # type: ignore[override]
        self._pending += 1
        if time.monotonic() - self._told >= REPORT_SECONDS:
            self._flush(module)

    def on_train_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        if self._pending:
            self._flush(module)

    def _flush(self, module: TrainingModule) -> None:
        self.report.advance(self._pending, loss=float(module.last_loss))
        self._pending, self._told = 0, time.monotonic()


UNITS = {
    "energy_mae": ("energy MAE", 1e3, "meV/atom"),
    "forces_mae": ("forces MAE", 1e3, "meV/Å"),
    "stress_mae": ("stress MAE", 1e3, "meV/Å^3"),
    "positions_mse": ("positions MSE", 1.0, ""),
    "rmsd_median": ("median RMSD", 1.0, "Å"),
    "centroid_median": ("median centroid distance", 1.0, "Å"),
    "confidence_auc": ("confidence AUC", 1.0, ""),
}
"""What a figure is called, its factor and its unit, for people; other figures are for files alone."""


def describe(figures: dict[str, float], prefix: str = "", units: Mapping[str, str] | None = None) -> str:
    """Error figures in one line, in the units people compare; `units` are those of further quantities by name."""
    parts = [f"loss {figures[f'{prefix}loss']:.4g}"]
    more = {f"{name}_mae": (f"{name} MAE", 1.0, unit) for name, unit in (units or {}).items()}
    for name, (label, factor, unit) in {**more, **UNITS}.items():
        if f"{prefix}{name}" in figures:
            parts.append(f"{label} {factor * figures[f'{prefix}{name}']:.4g} {unit}".rstrip())
    return ", ".join(parts)
