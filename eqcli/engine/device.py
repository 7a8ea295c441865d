"""Choice of device and precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eqcli.data.memory import physical_memory
from eqcli.errors import InputError

PRECISIONS: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a CUDA device where one is usable, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device '{name}'", hint="Use auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is usable on this machine", hint="Use --device cpu or --device auto.")
    return device


EDGES_PER_THREAD = 300
"""Neighbour pairs that make the operations long enough for one more thread to be worth waking."""


@contextmanager
def threads_for(edges: int) -> Iterator[None]:
    """No more threads than a batch of `edges` neighbour pairs can use; as before afterwards.

    Waking threads takes longer than the operations of a small batch, and on a busy
    machine many times longer.
    """
    before = torch.get_num_threads()
    useful = max(1, min(before, edges // EDGES_PER_THREAD))
    if useful < before:
        torch.set_num_threads(useful)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def precision_name(dtype: torch.dtype) -> str:
    """`float32` or `float64`."""
    return str(dtype).removeprefix("torch.")


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device or the machine has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def usable_memory(device: torch.device) -> int:
    """Bytes that work on `device` may take: what a CUDA device has free, or the memory of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return physical_memory() or 4_000_000_000
