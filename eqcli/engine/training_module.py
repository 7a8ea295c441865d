"""What one optimisation step is, and the whole state of a training run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from eqcli.engine.training_checkpoint import random_state, restore_random_state
from eqcli.engine.training_ema import WeightAverage
from eqcli.engine.training_loss import Loss
from eqcli.engine.training_schedule import LearningRate
from eqcli.errors import InputError
from eqcli.models.potentials.derive import evaluate

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

STATE_KEY = "eqcli"
DECAYED = ("linear", "mixing", "skip", "product")
"""Parts of the names of parameters that weight decay acts on."""

CHECK_EVERY = 25
"""On a GPU, reading the loss back waits for the device; so it is looked at once in so many steps."""


@dataclass
class Progress:
    """Where training is: the next batch is number `batch` of `epoch`, after `step` steps.

    `loss_sum` is over the steps of the present epoch; `best_*` and `waited`
    follow the validation loss.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = -1
    patience_loss: float = math.inf
    waited: int = 0
    stopped: bool = False


class TrainingModule(LightningModule):
    """A potential with its loss, optimiser, average and progress.

    Lightning brings devices, processes and checkpoints; the step is written out
    here (manual optimisation), and the position in the data is this module's own,
    so that a run resumes in the middle of an epoch as if it had never stopped.

    Parameters
    ----------
    potential
        With its constants set and in the precision of training.
    recipe
        A training recipe.
    """

    def __init__(self, potential: Potential, recipe: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.potential = potential
        self.seed: int = recipe.seed
        self.section = recipe.training
        self.loss = Loss(recipe.loss)
        self.average = WeightAverage(potential, self.section.ema)
        self.rate = LearningRate(self.section.optimizer.lr, self.section.schedule, self.section.max_epochs)
        self.progress = Progress()
        self.batches_in_epoch = 1
        self.last_loss: Tensor = torch.zeros(())
        self._sum: Tensor | None = None
        self._random: dict[str, Any] | None = None
        self._optimizer: torch.optim.Optimizer | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        section = self.section.optimizer
        kind = torch.optim.AdamW if section.name == "adamw" else torch.optim.Adam
        self._optimizer = kind(
            parameter_groups(self.potential, section.weight_decay), lr=section.lr, amsgrad=section.amsgrad, fused=True
        )
        return self._optimizer

    def training_step(self, batch: AtomGraph, batch_idx: int) -> None:
        """One step. Raises InputError when the batch does not fit into the memory of a GPU."""
        try:
            self._step(batch)
        except torch.cuda.OutOfMemoryError as error:
            raise InputError(
                f"a batch of {batch.n_structures} structures, {batch.num_nodes} atoms and "
                f"{batch.edge_index.shape[1]} neighbour pairs does not fit into the memory of {self.device} "
                f"(epoch {self.progress.epoch + 1}, batch {self.progress.batch + 1})",
                hint="Lower training.batch (a budget of edges bounds the memory best), or model.channels; "
                "a smaller batch is another recipe, so start a new run.",
            ) from error

    def _step(self, batch: AtomGraph) -> None:
        """Loss, gradient, clipping, weights, average, position."""
        progress, optimizer = self.progress, self._optimizer
        assert optimizer is not None
        rate = self.rate.at(progress.step, progress.epoch + progress.batch / self.batches_in_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        prediction = evaluate(
            self.potential, batch, forces=self.loss.wants("forces"), stress=self.loss.wants("stress"), training=True
        )
        loss = self.loss(prediction, batch)
        self.manual_backward(loss)
        if self.section.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.potential.parameters(), self.section.gradient_clip)
        self.last_loss = loss.detach()
        if not self.last_loss.is_cuda or progress.step % CHECK_EVERY == 0:
            self.check_finite(self.last_loss)
        optimizer.step()
        self.average.update()
        # Added up on the device, one after the other, so that a resumed run has the same sum to the last bit.
        self._sum = self.last_loss + (self.progress.loss_sum if self._sum is None else self._sum)
        progress.step += 1
        progress.batch += 1

    def check_finite(self, loss: Tensor) -> None:
        """Raises InputError when a loss has become infinite or NaN."""
        if not bool(torch.isfinite(loss)):
            raise InputError(
                f"the loss became {float(loss)} at step {self.progress.step + 1} (epoch {self.progress.epoch + 1})",
                hint="Lower training.optimizer.lr, clip gradients (training.gradient_clip), or look for wrong labels; "
                "the best model so far is kept.",
            )

    def train_loss(self) -> float:
        """Mean loss of the steps of the present epoch."""
        self.settle()
        return self.progress.loss_sum / max(self.progress.batch, 1)

    def settle(self) -> None:
        """Brings the sum of the loss in `progress` up to date. Raises as `check_finite`."""
        if self._sum is not None:
            self.check_finite(self._sum)
            self.progress.loss_sum = float(self._sum)

    def end_epoch(self) -> None:
        """Sets the position to the start of the next epoch."""
        self.progress.epoch, self.progress.batch, self.progress.loss_sum = self.progress.epoch + 1, 0, 0.0
        self._sum = None

    def on_fit_start(self) -> None:
        self.average.to(self.device)

    def on_train_start(self) -> None:
        # Last of all: what Lightning does while it sets up may draw random numbers.
        if self._random is None:
            torch.manual_seed(self.seed)
        else:
            restore_random_state(self._random)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.settle()
        # Lightning's own idea of where it is would make it skip; a run always starts afresh at our position.
        checkpoint.pop("loops", None)
        checkpoint[STATE_KEY] = {
            "progress": asdict(self.progress),
            "average": self.average.state_dict(),
            "rate": self.rate.state_dict(),
            "random": random_state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint[STATE_KEY]
        self.progress = Progress(**state["progress"])
        self.average.load_state_dict(state["average"])
        self.rate.load_state_dict(state["rate"])
        self._random = state["random"]


def parameter_groups(potential: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters with weight decay (matrices of linear maps and of products) and without (all others)."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in potential.named_parameters():
        is_weight = parameter.ndim >= 2 and any(part in name for part in DECAYED)
        (decayed if is_weight else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
