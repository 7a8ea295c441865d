"""Runs Lightning quietly on the devices at hand."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightning.pytorch import Callback

    from eqcli.engine.training_module import TrainingModule
    from eqcli.engine.training_processes import Processes

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric", "pytorch_lightning")


def fit(
    module: TrainingModule,
    loader: Iterable[Any],
    callbacks: list[Callback],
    *,
    device: torch.device,
    output: Path,
    checkpoint: Path | None,
    processes: Processes,
) -> None:
    """Trains until the loader ends or a callback stops it, from `checkpoint` if there is one.

    The random state of the caller is as before afterwards.
    """
    from eqcli.engine.training_trainer import make_trainer

    with quiet(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trainer = make_trainer(callbacks, device, output, processes)
        trainer.fit(module, loader, ckpt_path=checkpoint)


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
