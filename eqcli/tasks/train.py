"""Train a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eqcli.errors import InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.train_devices import device_of, gpus_for
from eqcli.tasks.train_here import Request, train_here
from eqcli.tasks.train_result import TrainResult

if TYPE_CHECKING:
    from eqcli.recipe.training import TrainingRecipe

__all__ = ["TrainResult", "train"]


def train(
    recipe: TrainingRecipe,
    output: str | Path,
    *,
    device: str = "auto",
    devices: int | Literal["auto"] | None = None,
    nodes: int | None = None,
    strategy: Literal["ddp", "fsdp"] = "ddp",
    resume: bool = False,
    overwrite: bool = False,
    requeue: bool = False,
    report: Reporter | None = None,
) -> TrainResult:
    """Trains the model of a recipe; the folder `output` gets model, checkpoints, figures, split and provenance.

    Parameters
    ----------
    devices, nodes
        Processes on each machine, one for each device, and machines. The processes of `srun`, `torchrun` or `mpirun`
        work together; without a launcher this one starts the others. One by default.
    strategy
        `ddp` keeps all weights in every process, `fsdp` divides them among the processes.
    resume
        Go on with the run in `output` from its newest checkpoint (from the start when there is none yet).
    overwrite
        Replace a run that is there.
    requeue
        In a Slurm job: put it back into the queue after a checkpoint when SIGUSR1 comes.

    Raises
    ------
    InputError
        The folder is in use (also by another process), the data cannot be trained on, the training diverged, or
        `devices` and `nodes` are not what the launcher started.
    ToldElsewhere
        As any of these, or an interruption, in a process that is not the first one.
    KeyboardInterrupt
        A signal stopped the training, after a checkpoint was written.
    """
    from eqcli.engine.training_run import RunFolder
    from eqcli.engine.training_world import find_world
    from eqcli.tasks.train_launch import started

    world = find_world(devices, nodes, gpus=gpus_for(device))
    if strategy == "fsdp" and world.size == 1:
        raise InputError("--strategy fsdp divides the weights among processes, and there is one", hint="Add --devices.")
    request = Request(recipe, str(output), device, strategy, resume, overwrite, requeue)
    if world.is_first:
        # Before processes are started, not after.
        device_of(device, world)
        RunFolder(output).refuse(resume=resume, overwrite=overwrite)
    with started(world, request.plain() if world.launcher == "own" else {}) as known:
        return train_here(request, known, report or Silent())
