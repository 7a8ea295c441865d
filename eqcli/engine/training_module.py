"""What one optimisation step is, and the whole state of a training run."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from eqcli.engine.training_checkpoint import random_state, restore_random_state
from eqcli.engine.training_ema import WeightAverage
from eqcli.engine.training_schedule import LearningRate
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.engine.training_objective import Trainable

STATE_KEY = "eqcli"
UNDECAYED = ("embedding", "norm", "bias")
"""Parts of the names of parameters that weight decay does not act on, whatever their shape."""

CHECK_EVERY = 25
"""On a GPU, reading the loss back waits for the device; so it is looked at once in so many steps."""


@dataclass
class Progress:
    """Where training is: the next batch is number `batch` of `epoch`, after `step` steps.

    `loss_sum` is over the steps of the present epoch; `best_*` and `waited`
    follow the validation loss; `seconds` is the wall-clock time of training, all
    calls together, and is kept where the recipe sets a limit to it.
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
    seconds: float = 0.0

    def finished(self, section: Any) -> bool:
        """Whether training is over by the `training` section of a recipe."""
        return self.stopped or self.epoch >= section.max_epochs or self.spent(section) >= 1.0

    def spent(self, section: Any) -> float:
        """Share of the time that is used up; 0 where the section sets no limit."""
        return 0.0 if section.max_minutes is None else self.seconds / (60 * section.max_minutes)


class TrainingModule(LightningModule):
    """A model with its objective, optimiser, average and progress.

    Lightning brings devices, processes and checkpoints; the step is written out
    here (manual optimisation), and the position in the data is this module's own,
    so that a run resumes in the middle of an epoch as if it had never stopped.

    Parameters
    ----------
    model
        With its constants set and in the precision of training.
    trainable
        What its family knows of it: the objective, and how to name a batch.
    section
        The `training` section of a recipe.
    seed
        Of what the model draws during training.
    """

    def __init__(self, model: nn.Module, trainable: Trainable, section: Any, *, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.trainable = trainable
        self.objective = trainable.objective
        self.seed = seed
        self.section = section
        self.average = WeightAverage(model, self.section.ema)
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
            parameter_groups(self.model, section.weight_decay), lr=section.lr, amsgrad=section.amsgrad, fused=True
        )
        return self._optimizer

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """One step. Raises InputError when the batch does not fit into the memory of a GPU."""
        try:
            self._step(batch)
        except torch.cuda.OutOfMemoryError as error:
            raise InputError(
                f"a batch of {self.trainable.describe(batch)} does not fit into the memory of {self.device} "
                f"(epoch {self.progress.epoch + 1}, batch {self.progress.batch + 1})",
                hint="Lower training.batch (a budget of edges bounds the memory best), or model.channels; "
                "a smaller batch is another recipe, so start a new run.",
            ) from error

    def _step(self, batch: Any) -> None:
        """Loss, gradient, clipping, weights, average, position."""
        progress, optimizer = self.progress, self._optimizer
        assert optimizer is not None
        epoch = progress.epoch + progress.batch / self.batches_in_epoch
        rate = self.rate.at(progress.step, epoch, progress.spent(self.section))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = self.objective.loss(self.model, batch)
        self.manual_backward(loss)
        if self.section.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.section.gradient_clip)
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
        # Runs begun when every model was a potential named their weights so.
        weights = checkpoint["state_dict"].items()
        checkpoint["state_dict"] = {re.sub("^potential[.]", "model.", name): tensor for name, tensor in weights}
        state = checkpoint[STATE_KEY]
        self.progress = Progress(**state["progress"])
        self.average.load_state_dict(state["average"])
        self.rate.load_state_dict(state["rate"])
        self._random = state["random"]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters with weight decay and without; frozen ones are in neither.

    Decayed are matrices and larger tensors, except those of embeddings, norms and
    biases; a model that knows better lists in `decayed_parameters` what the names
    of its decayed matrices contain.
    """
    chosen: tuple[str, ...] | None = getattr(model, "decayed_parameters", None)
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        listed = any(part in name for part in (UNDECAYED if chosen is None else chosen))
        wanted = parameter.ndim >= 2 and listed == (chosen is not None)
        (decayed if wanted else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
