"""A training run put together: model, batches, callbacks, model file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eqcli.data.batches import BatchPlan, BatchStream
from eqcli.engine.device import threads_for
from eqcli.engine.model_file import load_model, save_model
from eqcli.engine.provenance import provenance
from eqcli.engine.training_callbacks import Checkpoints, Clock, EpochEnd, StepReport
from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.engine.training_fit import fit, world
from eqcli.engine.training_log import open_logs
from eqcli.engine.training_module import STATE_KEY, Progress, TrainingModule
from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from torch import nn

    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_run import RunFolder
    from eqcli.progress import Reporter


class Session:
    """One call of training: what models of every family share.

    Parameters
    ----------
    recipe, plain
        The training recipe, and the same as plain data for the headers of files.
    trainable
        What the family of the model brings.
    """

    def __init__(
        self,
        recipe: Any,
        plain: dict[str, Any],
        folder: RunFolder,
        trainable: Trainable,
        device: torch.device,
        report: Reporter,
    ) -> None:
        self.recipe = recipe
        self.plain = plain
        self.folder = folder
        self.trainable = trainable
        self.device = device
        self.report = report
        self.is_first = world()[0] == 0
        self._held_out: dict[str, Iterable[Any]] = {}

    def fit(self) -> Progress:
        """Trains to the end, from the newest checkpoint if there is one; returns where training stands."""
        section = self.recipe.training
        checkpoint, progress = self._newest_checkpoint()
        plan = self._plan("train", section.batch, seed=self.recipe.seed)
        steps = plan.count(0) * section.max_epochs if section.max_minutes is None else None
        self.report.start("training", steps, "steps")
        if checkpoint is not None:
            self.report.message(f"going on after step {progress.step} (epoch {progress.epoch + 1})")
            self.report.advance(progress.step)
        if progress.finished(section):
            return progress
        model = self.trainable.new_model()
        for note in self.trainable.notes:
            self.report.message(note)
        module = TrainingModule(model, self.trainable, section, seed=self.recipe.seed)
        stream = BatchStream(plan, section.max_epochs, start=(progress.epoch, progress.batch))
        batches = self.trainable.batches("train", stream, section.workers)
        logs = open_logs(section.loggers, self.folder.path, after_step=progress.step) if self.is_first else []

        def save(figures: dict[str, float]) -> None:
            self._save(module.model, module.progress, {"valid": figures} if figures else {})

        callbacks: list[Callback] = [
            EpochEnd(plan, validate=lambda: self._figures(module.model, "valid"), save_best=save, logs=logs,
                     report=self.report),
            Checkpoints(self.folder.checkpoints, section.checkpoint.every_minutes, lambda: save({})),
            StepReport(self.report),
        ]  # fmt: skip
        if section.max_minutes is not None:
            callbacks.insert(0, Clock())
        try:
            # A function of the data alone, so that a resumed run adds up in the same order.
            with threads_for(self.trainable.largest_batch_edges()):
                fit(module, batches, callbacks, device=self.device, output=self.folder.path, checkpoint=checkpoint)
        finally:
            for log in logs:
                log.close()
        return module.progress

    def final_figures(self) -> dict[str, dict[str, float]]:
        """Error figures of the saved model on the validation and test parts; they are added to the model file."""
        if not self.folder.model.is_file():
            raise InputError(
                "no model came out of this training: the validation loss was never finite",
                Where(self.folder.path),
                "Lower training.optimizer.lr, or look for wrong labels.",
            )
        saved = load_model(self.folder.model, device=self.device)
        figures = {name: self._figures(saved.model, name) for name in self.trainable.held_out}
        if not self.is_first:
            return figures
        training = {**saved.header["training"], **self.trainable.finish(saved.model), "figures": figures}
        save_model(self.folder.model, saved.model, training=training, provenance=saved.header["provenance"])
        return figures

    def _save(self, model: nn.Module, progress: Progress, figures: dict[str, dict[str, float]]) -> None:
        training = {
            "recipe": self.plain,
            **self.trainable.facts(),
            "epoch": progress.epoch + 1,
            "step": progress.step,
            **({"seconds": progress.seconds} if progress.seconds else {}),
            "figures": figures,
        }
        save_model(self.folder.model, model, training=training, provenance=provenance())

    def _newest_checkpoint(self) -> tuple[Path | None, Progress]:
        """The newest checkpoint that can be read, and where it stands; (None, start) without any.

        Raises InputError where none of those that are there can be read: starting again would replace the model.
        """
        damaged = []
        for path in list_checkpoints(self.folder.checkpoints):
            try:
                progress = Progress(**read_checkpoint(path)[STATE_KEY]["progress"])
            except InputError as error:
                damaged.append(f"{error.message} ({path})")
                continue
            for text in damaged:
                self.report.warning(f"{text}; the one before it is used")
            return path, progress
        if damaged:
            raise InputError(
                f"no checkpoint of this run can be read: {'; '.join(damaged)}",
                Where(self.folder.path),
                "Put a good copy there, or add --overwrite in place of --resume to start the run again.",
            )
        return None, Progress()

    def _plan(self, part: str, section: Any, *, seed: int | None) -> BatchPlan:
        budget, sizes = self.trainable.budget(part, section)
        rank, size = world() if seed is not None else (0, 1)
        lengths = self.trainable.lengths(part)
        return BatchPlan(sizes, budget, seed=seed, rank=rank, world=size, lengths=lengths)

    def _figures(self, model: nn.Module, part: str) -> dict[str, float]:
        """Error figures on a held-out part, whose batches are kept between calls."""
        if part not in self._held_out:
            section = self.recipe.training
            plan = self._plan(part, section.valid_batch or section.batch, seed=None)
            self._held_out[part] = self.trainable.batches(part, BatchStream(plan, 1), section.workers)
        return self.trainable.objective.measure(model, self._held_out[part])
