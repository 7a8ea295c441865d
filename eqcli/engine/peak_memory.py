"""The most memory that a piece of work has at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """What a piece of work took.

    Attributes
    ----------
    bytes
        The most it had at once beyond what there was before; None where that cannot be measured.
    floor
        Memory in use before it, on the same scale.
    seconds
        How long it took. On a CUDA device that is the time until its results were asked for.
    """

    bytes: int | None = None
    floor: int = 0
    seconds: float = 0.0


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measures the work inside; the result is complete after it, also when the work fails.

    On a CUDA device by torch's own count. On the CPU by the largest resident size, which Linux resets on request:
    it counts everything the process does meanwhile, and what the allocator keeps after work is done.
    """
    found = Peak()
    before = _begin(device)
    begun = time.perf_counter()
    try:
        yield found
    finally:
        found.seconds = time.perf_counter() - begun
        if before is not None and (most := _most(device)) is not None:
            found.floor, found.bytes = before, max(0, most - before)


def _begin(device: torch.device) -> int | None:
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _field("VmRSS")


def _most(device: torch.device) -> int | None:
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    return _field("VmHWM")


def _field(name: str) -> int | None:
    try:
        text = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    _, found, rest = text.partition(f"\n{name}:")
    return int(rest.split(None, 1)[0]) * 1024 if found else None
