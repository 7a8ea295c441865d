"""What one optimisation step is, and the whole state of a training run."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from eqcli.engine.training_checkpoint import random_state, restore_random_state
from eqcli.engine.training_ema import WeightAverage
from eqcli.engine.training_schedule import LearningRate
from eqcli.engine.training_sharding import divide_checkpoint, gathered
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.engine.training_gradients import Gradients
    from eqcli.engine.training_objective import Trainable
    from eqcli.engine.training_steps import StepBatch

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
        What its family knows of it.
    gradients
        Gives the loss of a batch and its gradient.
    section
        The `training` section of a recipe.
    seed
        Of what the model draws during training.
    """

    def __init__(
        self, model: nn.Module, trainable: Trainable, gradients: Gradients, section: Any, *, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.trainable = trainable
        self.gradients = gradients
        self.processes = gradients.processes
        self.seed = seed
        self.section = section
        self.average = WeightAverage(model, self.section.ema)
        self.rate = LearningRate(self.section.optimizer.lr, self.section.schedule, self.section.max_epochs)
        self.progress = Progress()
        self.batches_in_epoch = 1
        self.last_loss: Tensor = torch.zeros(())
        self._sum: Tensor | None = None
        self._random: list[dict[str, Any]] = []
        self._optimizer: torch.optim.Optimizer | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        section = self.section.optimizer
        kind = torch.optim.AdamW if section.name == "adamw" else torch.optim.Adam
        self._optimizer = kind(
            parameter_groups(self.model, section.weight_decay), lr=section.lr, amsgrad=section.amsgrad, fused=True
        )
        return self._optimizer

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Micro-batches go to the device one after the other."""
        return batch

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """Loss, gradient, clipping, weights, average, position. Raises InputError as `Gradients.take`."""
        progress, optimizer = self.progress, self._optimizer
        assert optimizer is not None
        epoch = progress.epoch + progress.batch / self.batches_in_epoch
        rate = self.rate.at(progress.step, epoch, progress.spent(self.section))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = self.gradients.take(batch)
        if self.section.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.section.gradient_clip)
        self.last_loss = loss
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
            error = InputError(
                f"the loss became {float(loss)} at step {self.progress.step + 1} (epoch {self.progress.epoch + 1})",
                hint="Lower training.optimizer.lr, clip gradients (training.gradient_clip), or look for wrong labels; "
                "the best model so far is kept.",
            )
            raise self.processes.common(error)

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
        if len(self._random) == self.processes.size:
            restore_random_state(self._random[self.processes.rank], self.device)
        else:
            torch.manual_seed(stream_seed(self.seed, self.processes.rank, self.progress.step))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.settle()
        first, *others = self.processes.gathered(random_state(self.device))
        # Lightning's own idea of where it is would make it skip; a run always starts afresh at our position.
        checkpoint.pop("loops", None)
        checkpoint |= gathered({key: checkpoint[key] for key in ("state_dict", "optimizer_states")})
        checkpoint[STATE_KEY] = {
            "progress": asdict(self.progress),
            "average": gathered(self.average.state_dict()),
            "rate": self.rate.state_dict(),
            "random": first,
            **({"random_of_others": others} if others else {}),
            **({"micro_batch": limit} if (limit := self.gradients.division.limit) is not None else {}),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Runs begun when every model was a potential named their weights so.
        weights = checkpoint["state_dict"].items()
        checkpoint["state_dict"] = {re.sub("^potential[.]", "model.", name): tensor for name, tensor in weights}
        groups = parameter_groups(self.model, 0.0)
        in_order = [parameter for group in groups for parameter in group["params"]]
        divide_checkpoint(checkpoint, dict(self.named_parameters()), in_order)
        state = checkpoint[STATE_KEY]
        self.progress = Progress(**state["progress"])
        self.average.load_state_dict(state["average"])
        self.rate.load_state_dict(state["rate"])
        self._random = [state["random"], *state.get("random_of_others", [])]
        self.gradients.resume(state.get("micro_batch"))


def stream_seed(seed: int, rank: int, step: int) -> int:
    """Seed of what a process draws from a step on; the first process starts from the seed of the recipe itself."""
    return seed if rank == step == 0 else int(np.random.SeedSequence([seed, rank, step]).generate_state(1)[0])


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
