"""Lightning's trainer for one process of a training, alone or among others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from eqcli.engine.training_checkpoint import SafeCheckpointIO
from eqcli.engine.training_processes import Processes
from eqcli.engine.training_world import World


class Environment(ClusterEnvironment):
    """Tells Lightning which process this is: each as a node with one device of its own, wherever it runs.

    A named environment also keeps Lightning from looking for a batch system and its own requeueing.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.world.address

    @property
    def main_port(self) -> int:
        return self.world.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.world.size

    def set_world_size(self, size: int) -> None: ...

    def global_rank(self) -> int:
        return self.world.rank

    def set_global_rank(self, rank: int) -> None: ...

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self.world.rank


class Together(DDPStrategy):
    """Data-parallel training whose gradients the step adds up by itself, see `training_gradients`."""

    def __init__(self, processes: Processes) -> None:
        super().__init__()
        self.processes = processes

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        self.processes.gathered(None)

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        return self.processes.gathered(obj)[src]

    def reduce(self, tensor: Tensor, group: Any = None, reduce_op: Any = "mean") -> Tensor:
        with self.processes.lost():
            return super().reduce(tensor, group, reduce_op)

    def _configure_launcher(self) -> None:
        """The processes are there."""

    def configure_ddp(self) -> None:
        """The model is called as it is."""


def make_trainer(callbacks: list[Callback], device: torch.device, output: Path, processes: Processes) -> Trainer:
    """A Lightning trainer for one pass over a stream of steps."""
    world = processes.world
    several: dict[str, Any] = {"strategy": Together(processes), "num_nodes": world.size} if world.size > 1 else {}
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1 if device.type == "cpu" else [device.index or 0],
        max_epochs=1,
        callbacks=callbacks,
        plugins=[SafeCheckpointIO(), Environment(world) if world.size > 1 else LightningEnvironment()],
        default_root_dir=output,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        inference_mode=False,
        **several,
    )
