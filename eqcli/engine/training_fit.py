"""Runs Lightning quietly on the devices at hand."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from eqcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightning.pytorch import Callback, Trainer

    from eqcli.engine.training_module import TrainingModule

T = TypeVar("T")

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric", "pytorch_lightning")


def world() -> tuple[int, int]:
    """Rank of this process and number of processes, as a launcher such as torchrun set them; (0, 1) without one."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def first_process_first(work: Callable[[bool], T]) -> T:
    """`work(True)` in the first process, then `work(False)` in the others; where the first fails, all do.

    With one process this is `work(True)`.
    """
    rank, size = world()
    if size == 1:
        return work(True)
    from torch import distributed

    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    result, error = None, None
    if rank == 0:
        try:
            result = work(True)
        except Exception as caught:
            error = caught
    told = [None if error is None else str(error)]
    distributed.broadcast_object_list(told, src=0, device=torch.device("cpu"))
    if error is not None:
        raise error
    if told[0] is not None:
        raise InputError(f"the first process failed: {told[0]}")
    return result if result is not None else work(False)


def fit(
    module: TrainingModule,
    loader: Iterable[Any],
    callbacks: list[Callback],
    *,
    device: torch.device,
    output: Path,
    checkpoint: Path | None,
) -> None:
    """Trains until the loader ends or a callback stops it, from `checkpoint` if there is one.

    The random state of the caller is as before afterwards.
    """
    with quiet(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trainer = make_trainer(callbacks, device, output)
        trainer.fit(module, loader, ckpt_path=checkpoint)


def make_trainer(callbacks: list[Callback], device: torch.device, output: Path) -> Trainer:
    """A Lightning trainer for one pass over a stream of batches; several processes where a launcher started them."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning.pytorch import Trainer

    from eqcli.engine.training_checkpoint import SafeCheckpointIO

    _, size = world()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(size)))
    several: dict[str, Any] = {"strategy": "ddp", "num_nodes": size // local} if size > 1 else {}
    devices: Any = local if size > 1 or device.type == "cpu" else [device.index or 0]
    # A named environment keeps Lightning from looking for a batch system and its own requeueing.
    environment = TorchElasticEnvironment() if size > 1 else LightningEnvironment()
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=devices,
        max_epochs=1,
        callbacks=callbacks,
        plugins=[SafeCheckpointIO(), environment],
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


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's banners, tips and warnings are not printed within the block."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning(\..*)?|pytorch_lightning(\..*)?")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
