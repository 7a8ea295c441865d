"""How much memory work may still take: on a device, or of the machine within the limits of the job."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eqcli.engine.batch_memory import granted
from eqcli.engine.cgroup_memory import groups, room
from eqcli.engine.memory_text import bytes_text, parse_bytes

if TYPE_CHECKING:
    import torch

VARIABLE = "EQCLI_MEMORY"
"""What this process may take at most, e.g. `8GB`: of the CUDA device where it computes on one, else of the machine."""

SHARERS = "EQCLI_MEMORY_SHARERS"
"""How many processes of one job work on this machine side by side; whoever starts them says so. They share alike."""

FALLBACK = 4_000_000_000
"""Bytes, where the system says nothing."""


class Limit(NamedTuple):
    """Bytes that may still be allocated, and what sets that limit."""

    bytes: int
    source: str

    def __str__(self) -> str:
        return f"{bytes_text(self.bytes)} ({self.source})"


def memory_limit(device: torch.device, *, environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Limit:
    """What may still be allocated on a device, now.

    On a CUDA device that is what is free there and what torch keeps to use again. On the CPU it is the least of
    what is left of each control group around the process, of RLIMIT_AS and RLIMIT_DATA, of what the batch system
    granted, and of the memory that the machine has available. Processes that were
    told how many they are share the latter alike. `EQCLI_MEMORY` lowers either.

    Raises
    ------
    InputError
        `EQCLI_MEMORY` is no amount of memory.
    """
    if device.type == "cuda":
        found = _cuda(device)
    else:
        found = min(host_limits(environment=environment, root=root), key=lambda limit: limit.bytes)
    if text := environment.get(VARIABLE):
        used = _cuda_used(device) if device.type == "cuda" else resident(root)
        own = Limit(max(0, parse_bytes(text, VARIABLE) - used), VARIABLE)
        return min(found, own, key=lambda limit: limit.bytes)
    return found


def host_limits(*, environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Iterator[Limit]:
    """Everything that bounds the memory of this process on the machine, less what is taken already."""
    text = environment.get(SHARERS, "")
    sharers = max(1, int(text)) if text.isdigit() else 1
    yield from _process_limits(root)
    for limit in _machine_limits(environment, root):
        yield limit if sharers == 1 else Limit(limit.bytes // sharers, f"{limit.source}, shared by {sharers}")


def _machine_limits(environment: Mapping[str, str], root: Path) -> Iterator[Limit]:
    """What all processes of the job together may still take."""
    used = resident(root)
    for group in groups(root):
        if (found := room(group)) is not None:
            yield Limit(found[1], f"control group limit of {bytes_text(found[0])}")
    for value, name in granted(environment):
        yield Limit(max(0, value - used), f"{name} of {bytes_text(value)}")
    available = _proc(root / "proc/meminfo", "MemAvailable")
    if available is not None:
        yield Limit(available, "memory available on the machine")
    elif (whole := physical_memory()) is not None:
        yield Limit(max(0, whole - used), "memory of the machine")
    else:
        yield Limit(FALLBACK, "the system does not say")


def total_memory(*, environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Limit:
    """What the job may take in all, as if nothing were in use; for words about a plan rather than decisions."""
    limits = [Limit(found[0], "control group") for group in groups(root) if (found := room(group)) is not None]
    limits += [Limit(value, name) for value, name in granted(environment)]
    limits += [Limit(bound, name) for name, bound, _ in _rlimits(root)]
    if text := environment.get(VARIABLE):
        limits.append(Limit(parse_bytes(text, VARIABLE), VARIABLE))
    whole = _proc(root / "proc/meminfo", "MemTotal") or physical_memory() or FALLBACK
    return min([*limits, Limit(whole, "this machine")], key=lambda limit: limit.bytes)


def resident(root: Path = Path("/")) -> int:
    """Memory of the machine that this process holds, in bytes; 0 where the system does not say."""
    return _proc(root / "proc/self/status", "VmRSS") or 0


def physical_memory() -> int | None:
    """Memory of this machine in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _process_limits(root: Path) -> Iterator[Limit]:
    for name, bound, used in _rlimits(root):
        yield Limit(max(0, bound - used), f"{name} of {bytes_text(bound)}")


def _rlimits(root: Path) -> Iterator[tuple[str, int, int]]:
    """Limits of the process: name, bytes, and how much of it is used."""
    try:
        import resource
    except ImportError:
        return
    for name, key in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        bound = resource.getrlimit(getattr(resource, name))[0]
        if bound != resource.RLIM_INFINITY:
            yield name, bound, _proc(root / "proc/self/status", key) or 0


def _proc(path: Path, name: str) -> int | None:
    """A field of a file of `/proc` that is stated in kB, in bytes."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name and value.split() and value.split()[0].isdigit():
            return int(value.split()[0]) * 1024
    return None


def _cuda(device: torch.device) -> Limit:
    import torch

    free = int(torch.cuda.mem_get_info(device)[0])
    return Limit(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), f"free on {device}")


def _cuda_used(device: torch.device) -> int:
    import torch

    return int(torch.cuda.memory_allocated(device))
