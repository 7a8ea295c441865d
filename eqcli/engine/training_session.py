"""A training run put together: model, batches, callbacks, model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.data.batches import BatchPlan, BatchStream, batch_budget, largest_batch
from eqcli.data.graphs import CACHE_BYTES, GraphDataset, GraphLoader, graph_bytes
from eqcli.data.split import split_hash
from eqcli.engine.device import PRECISIONS, threads_for
from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.engine.provenance import provenance
from eqcli.engine.training_callbacks import Checkpoints, EpochEnd, StepReport
from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.engine.training_fit import fit, world
from eqcli.engine.training_log import open_logs
from eqcli.engine.training_loss import Loss, measure
from eqcli.engine.training_module import STATE_KEY, Progress, TrainingModule
from eqcli.errors import InputError, Where
from eqcli.models.potentials.base import Potential, Statistics

if TYPE_CHECKING:
    from eqcli.data.prepare import Prepared
    from eqcli.data.statistics import DataStatistics
    from eqcli.engine.training_run import RunFolder
    from eqcli.progress import Reporter


def new_potential(config: Any, statistics: DataStatistics, *, seed: int, precision: str) -> Potential:
    """A potential with weights drawn from `seed` and constants from the training data.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        potential = make_potential(config, statistics.elements)
    energies = [statistics.reference.energies[symbol] for symbol in statistics.reference.energies]
    potential.reference_energies.copy_(torch.tensor(energies, dtype=torch.float64))
    potential.initialise(
        Statistics(avg_num_neighbors=statistics.avg_num_neighbors, shift=statistics.shift, scale=statistics.scale)
    )
    return potential.to(PRECISIONS[precision])


class Session:
    """One call of training on prepared data.

    Parameters
    ----------
    recipe, plain
        The training recipe, and the same as plain data for the headers of files.
    """

    def __init__(
        self,
        recipe: Any,
        plain: dict[str, Any],
        folder: RunFolder,
        prepared: Prepared,
        device: torch.device,
        report: Reporter,
    ) -> None:
        self.recipe = recipe
        self.plain = plain
        self.folder = folder
        self.prepared = prepared
        self.device = device
        self.report = report
        self.is_first = world()[0] == 0
        self._held_out: dict[str, GraphLoader] = {}

    def fit(self) -> Progress:
        """Trains to the end, from the newest checkpoint if there is one; returns where training stands."""
        section = self.recipe.training
        potential = new_potential(
            self.recipe.model, self.prepared.statistics, seed=self.recipe.seed, precision=section.precision
        )
        checkpoint, progress = self._newest_checkpoint()
        plan = self._plan("train", section.batch, seed=self.recipe.seed)
        self.report.start("training", plan.count(0) * section.max_epochs, "steps")
        if checkpoint is not None:
            self.report.message(f"going on after step {progress.step} (epoch {progress.epoch + 1})")
            self.report.advance(progress.step)
        if progress.stopped or progress.epoch >= section.max_epochs:
            return progress
        module = TrainingModule(potential, self.recipe)
        stream = BatchStream(plan, section.max_epochs, start=(progress.epoch, progress.batch))
        loader = GraphLoader(self._dataset("train", section.workers), stream, section.workers)
        logs = open_logs(section.loggers, self.folder.path, after_step=progress.step) if self.is_first else []

        def save(figures: dict[str, float]) -> None:
            self._save(potential, module.progress, {"valid": figures} if figures else {})

        callbacks = [
            EpochEnd(plan, validate=lambda: self._figures(potential, "valid"), save_best=save, logs=logs,
                     report=self.report),
            Checkpoints(self.folder.checkpoints, section.checkpoint.every_minutes, lambda: save({})),
            StepReport(self.report),
        ]  # fmt: skip
        try:
            # A function of the data alone, so that a resumed run adds up in the same order.
            with threads_for(self._largest_batch_edges()):
                fit(module, loader, callbacks, device=self.device, output=self.folder.path, checkpoint=checkpoint)
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
        parts: list[str] = [name for name in ("valid", "test") if name in self.prepared.split]
        figures: dict[str, dict[str, float]] = {name: self._figures(saved.potential, name) for name in parts}
        if not self.is_first:
            return figures
        training = {**saved.header["training"], "figures": figures}
        save_model(self.folder.model, saved.potential, training=training, provenance=saved.header["provenance"])
        return figures

    def _save(self, potential: Potential, progress: Progress, figures: dict[str, dict[str, float]]) -> None:
        training = {
            "recipe": self.plain,
            "split": split_hash(self.prepared.split),
            "data": self.prepared.inputs,
            "statistics": self.prepared.statistics.as_dict(),
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "figures": figures,
        }
        save_model(self.folder.model, potential, training=training, provenance=provenance())

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

    def _largest_batch_edges(self) -> int:
        table, frames = self.prepared.table("train"), self.prepared.split["train"].indices
        return largest_batch(batch_budget(self.recipe.training.batch, table, frames)[0], table, frames)[1]

    def _plan(self, part: str, section: Any, *, seed: int | None) -> BatchPlan:
        budget, sizes = batch_budget(section, self.prepared.table(part), self.prepared.split[part].indices)
        rank, size = world() if seed is not None else (0, 1)
        return BatchPlan(sizes, budget, seed=seed, rank=rank, world=size)

    def _dataset(self, part: str, workers: int) -> GraphDataset:
        frames = self.prepared.split[part].indices
        # Every worker keeps its own graphs.
        needed = graph_bytes(self.prepared.table(part), frames) * max(workers, 1)
        return GraphDataset(
            self.prepared.store(part),
            frames,
            self.recipe.model.cutoff,
            weights=self.recipe.loss.config_weights,
            keep=needed < CACHE_BYTES,
        )

    def _figures(self, potential: Potential, part: str) -> dict[str, float]:
        """Error figures on a held-out part; its graphs are kept between calls when they are small."""
        if part not in self._held_out:
            section = self.recipe.training
            plan = self._plan(part, section.valid_batch or section.batch, seed=None)
            dataset = self._dataset(part, 0)
            workers = 0 if dataset.keep else section.workers
            self._held_out[part] = GraphLoader(dataset, BatchStream(plan, 1), workers)
        table, frames = self.prepared.table(part), self.prepared.split[part].indices
        stress = bool(np.isfinite(table.stress_square[frames]).any())
        return measure(potential, self._held_out[part], Loss(self.recipe.loss), stress=stress)
