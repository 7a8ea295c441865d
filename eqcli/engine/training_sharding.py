"""Weights, gradients, averages and the memory of the optimiser divided among the processes of a training."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.engine.training_objective import Objective, Trainable
    from eqcli.engine.training_processes import Processes


class Sharded:
    """Fully sharded data parallelism: every process keeps a part of each tensor, and has it whole during a step.

    The loss is computed within one module of torch's `fully_shard`, derivatives by positions included, so that forces
    can be learned: what is differentiated a second time sees plain tensors. Processes take the same number of
    micro-batches, and a step that does not fit cannot be done again.

    Raises
    ------
    InputError
        The model has weights that cannot be divided.
    """

    in_step = True

    def __init__(self, model: nn.Module, trainable: Trainable, processes: Processes, device: torch.device) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        self.model = model
        self._whole = copy.deepcopy(model)
        self._loss_of = _LossOf(model, trainable.objective)
        mesh = init_device_mesh(device.type, (processes.size,))
        try:
            sharded = fully_shard(self._loss_of, mesh=mesh, reshard_after_forward=False)
        except (ValueError, NotImplementedError, AssertionError) as error:
            raise processes.common(
                InputError(f"the weights of this model cannot be divided: {error}", hint="Use --strategy ddp.")
            ) from error
        # The loss is a sum over the processes, not a mean.
        sharded.set_gradient_divide_factor(1.0)

    def share(self, batch: Any, counts: Tensor) -> Tensor:
        found: Tensor = self._loss_of(batch, counts)
        return found

    def add_up(self, present: list[bool]) -> None:
        """Done while the gradients were computed."""

    @torch.no_grad()
    def whole(self) -> nn.Module:
        """A model with all weights as they are, for validation and for files; every process has to ask for it."""
        for own, part in zip(self._whole.parameters(), self.model.parameters(), strict=True):
            own.copy_(gathered(part))
        for kept, buffer in zip(self._whole.buffers(), self.model.buffers(), strict=True):
            kept.copy_(buffer)
        return self._whole


class _LossOf(nn.Module):
    """The loss of a batch as the output of a module."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Any, counts: Tensor) -> Tensor:
        return self.objective.share(self.model, batch, counts)


def gathered(value: Any) -> Any:
    """A tree with its divided tensors whole, in every process; other values are as they were."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: gathered(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(gathered(entry) for entry in value)
    return value


def divided(value: Any, like: Tensor) -> Any:
    """A whole tensor divided as `like` is, where that is divided and has its shape."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def divide_checkpoint(checkpoint: dict[str, Any], weights: dict[str, Tensor], in_order: Iterable[Tensor]) -> None:
    """Divides the weights and the state of the optimiser of a checkpoint, which files hold whole.

    Parameters
    ----------
    weights
        The parameters of the module by name.
    in_order
        The same in the order of the optimiser.
    """
    state = checkpoint["state_dict"]
    for name, parameter in weights.items():
        state[name] = divided(state[name], parameter)
    for optimizer in checkpoint.get("optimizer_states", []):
        for number, parameter in enumerate(in_order):
            own = optimizer["state"].get(number, {})
            optimizer["state"][number] = {key: divided(entry, parameter) for key, entry in own.items()}
