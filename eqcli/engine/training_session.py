"""A training run put together: model, batches, callbacks, model file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eqcli.data.batch_shares import Division, StepStream
from eqcli.data.batches import BatchPlan
from eqcli.engine.device import threads_for
from eqcli.engine.model_file import load_model, save_model
from eqcli.engine.provenance import provenance
from eqcli.engine.training_callbacks import Checkpoints, Clock, EpochEnd, StepReport
from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.engine.training_fit import fit
from eqcli.engine.training_gradients import Gradients, Whole
from eqcli.engine.training_log import open_logs
from eqcli.engine.training_module import STATE_KEY, Progress, TrainingModule
from eqcli.engine.training_sharding import Sharded
from eqcli.engine.training_steps import Reloader, StepLoader
from eqcli.engine.training_validation import Validation
from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from torch import nn

    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_processes import Processes
    from eqcli.engine.training_run import RunFolder
    from eqcli.progress import Reporter


NO_LIMIT = 2**62


class Session:
    """One call of training: what models of every family share.

    Parameters
    ----------
    recipe, plain
        The training recipe, and the same as plain data for the headers of files.
    trainable
        What the family of the model brings.
    processes
        Those that train together; each makes such a session.
    sharded
        Whether the weights are divided among the processes.
    """

    def __init__(
        self,
        recipe: Any,
        plain: dict[str, Any],
        folder: RunFolder,
        trainable: Trainable,
        device: torch.device,
        report: Reporter,
        processes: Processes,
        *,
        sharded: bool = False,
    ) -> None:
        self.recipe = recipe
        self.plain = plain
        self.folder = folder
        self.trainable = trainable
        self.device = device
        self.report = report
        self.processes = processes
        self.sharded = sharded
        self.is_first = processes.is_first
        self.validation = Validation(recipe.training, trainable, processes, report)
        self._size: Any = None

    def fit(self) -> Progress:
        """Trains to the end, from the newest checkpoint if there is one; returns where training stands."""
        section = self.recipe.training
        checkpoint, progress = self._newest_checkpoint()
        budget, sizes = self.trainable.budget("train", section.batch)
        plan = BatchPlan(sizes, budget, seed=self.recipe.seed, lengths=self.trainable.lengths("train"))
        steps = plan.count(0) * section.max_epochs if section.max_minutes is None else None
        self.report.start("training", steps, "steps")
        if checkpoint is not None:
            self.report.message(f"going on after step {progress.step} (epoch {progress.epoch + 1})")
            self.report.advance(progress.step)
        if progress.finished(section):
            return progress
        module = self._module()
        spread, division = module.gradients.spread, module.gradients.division
        stream = StepStream(plan, section.max_epochs, division, start=(progress.epoch, progress.batch))
        steps = StepLoader(stream, partial(self.trainable.batches, "train", workers=section.workers))
        logs = open_logs(section.loggers, self.folder.path, after_step=progress.step) if self.is_first else []

        def save(figures: dict[str, float]) -> None:
            model = spread.whole()
            if self.is_first:
                self._save(model, module.progress, {"valid": figures} if figures else {})

        def validate() -> dict[str, float]:
            return self.validation.figures(spread.whole(), "valid", module.gradients.size)

        callbacks: list[Callback] = [
            EpochEnd(plan, validate=validate, save_best=save, logs=logs,
                     report=self.report),
            Checkpoints(self.folder.checkpoints, section.checkpoint.every_minutes, lambda: save({})),
            StepReport(self.report),
        ]  # fmt: skip
        if section.max_minutes is not None:
            callbacks.insert(0, Clock())
        try:
            # A function of the data alone, so that a resumed run adds up in the same order.
            with threads_for(self.trainable.largest_batch_edges() // self.processes.size):
                fit(
                    module,
                    steps,
                    callbacks,
                    device=self.device,
                    output=self.folder.path,
                    checkpoint=checkpoint,
                    processes=self.processes,
                )
        finally:
            for log in logs:
                log.close()
        self._size = module.gradients.size
        return module.progress

    def _module(self) -> TrainingModule:
        """The model and all that trains it."""
        section, trainable, processes = self.recipe.training, self.trainable, self.processes
        model = trainable.new_model().to(self.device)
        for note in trainable.notes:
            self.report.message(note)
        processes.same([*model.parameters(), *model.buffers()])
        unit, division = self._division()
        kept = partial(Sharded, device=self.device) if self.sharded else Whole
        gradients = Gradients(
            model,
            trainable,
            processes,
            division,
            Reloader(division, partial(trainable.batches, "train", workers=0)),
            kept(model, trainable, processes),
            automatic=section.micro_batch is None,
            unit=unit,
            section=type(section.batch),
            device=self.device,
            report=self.report,
        )
        return TrainingModule(model, trainable, gradients, section, seed=self.recipe.seed)

    def _division(self) -> tuple[str, Division]:
        """How batches are divided, and the unit of the size of micro-batches."""
        section = self.recipe.training
        budget, sizes = self.trainable.budget("train", section.micro_batch or section.batch)
        _, costs = self.trainable.budget("train", type(section.batch)(edges=NO_LIMIT))
        limit: int | None = budget.limit
        if section.micro_batch is None:
            limit = self._automatic_limit(budget.limit)
        return budget.unit, Division(costs, sizes, limit, self.processes.rank, self.processes.size, self.sharded)

    def _automatic_limit(self, batch: int) -> int | None:
        """The size of micro-batches that are to fit, where batches of that size may not."""
        world = self.processes.world
        part = self.trainable.part_that_fits(self.device, world.nodes)
        if part == 1.0:
            return None
        self.report.message(f"batches are computed in about {round(1 / part)} parts, for want of memory")
        return max(1, int(part * batch / world.size))

    def final_figures(self) -> dict[str, dict[str, float]]:
        """Error figures of the saved model on the validation and test parts; they are added to the model file."""
        if not self.folder.model.is_file():
            raise InputError(
                "no model came out of this training: the validation loss was never finite",
                Where(self.folder.path),
                "Lower training.optimizer.lr, or look for wrong labels.",
            )
        saved = load_model(self.folder.model, device=self.device)
        figures = {name: self.validation.figures(saved.model, name, self._size) for name in self.trainable.held_out}
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
            **({"processes": self.processes.size} if self.processes.size > 1 else {}),
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
