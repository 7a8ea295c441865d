"""Choice of device and precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

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


_NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "ALLOC_FAILED", "Cannot allocate memory")
"""What torch, CUDA's libraries and C++ say when memory is short, in exceptions that are of no kind of their own."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device or the machine has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in _NO_MEMORY)
