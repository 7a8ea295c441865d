"""Devices and threads of the processes of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eqcli.errors import InputError

if TYPE_CHECKING:
    import torch

    from eqcli.engine.training_world import World


def gpus_for(device: str) -> int:
    """GPUs that a training on `device` may use; 0 on the CPU. Raises InputError as `choose_device`."""
    import torch

    from eqcli.engine.device import choose_device

    if choose_device(device).type != "cuda":
        return 0
    return 1 if ":" in device else torch.cuda.device_count()


def device_of(device: str, world: World) -> torch.device:
    """The device of one process. Raises InputError where there are fewer devices than processes."""
    import torch

    from eqcli.engine.device import choose_device

    chosen = choose_device(device)
    if chosen.type != "cuda" or world.size == 1:
        return chosen
    if ":" in device:
        raise InputError(
            f"--device {device} is one device, and {world.size} processes train", hint="Use --device cuda."
        )
    there = torch.cuda.device_count()
    # A batch system may show each task its own GPU alone.
    if there < world.local_size and (there > 1 or world.launcher == "own"):
        raise InputError(
            f"{world.local_size} devices are asked for on each machine, and {there} GPUs are visible",
            hint="Lower --devices, or ask the batch system for more GPUs.",
        )
    return torch.device("cuda", world.local_rank % there)


def select(device: torch.device) -> None:
    """Makes a GPU the one that libraries take where they are told none."""
    if device.type == "cuda" and device.index is not None:
        import torch

        torch.cuda.set_device(device)


@contextmanager
def threads_for_world(world: World) -> Iterator[None]:
    """The processes of one machine divide its cores among them; as before afterwards."""
    import torch

    from eqcli.tasks.train_launch import threads_of

    before = torch.get_num_threads()
    if world.size > 1:
        torch.set_num_threads(max(1, min(before, threads_of(world))))
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
