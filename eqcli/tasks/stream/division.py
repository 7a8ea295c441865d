"""Among how many processes work is divided: what is decided from a few numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

AUTO: Literal["auto"] = "auto"
"""As many workers as suit the work and the machine, or as the cluster says."""

Workers = int | Literal["auto"]

WORTH_SECONDS = {"cpu": 30.0, "cuda": 60.0}
"""Work of one process with one thread, by kind of device, from which on starting others pays."""

PROCESS_BYTES = {"cpu": 500_000_000, "cuda": 3_000_000_000}
"""Memory of the machine that a worker takes, by kind of device, beside its model and its batches."""


@dataclass(frozen=True)
class Division:
    """How work is divided.

    Attributes
    ----------
    workers
        Processes; with 1 it may be the one that was called.
    threads
        Of each, on which the last digits of results may depend.
    device
        The kind that it was chosen for, `cpu` or `cuda`.
    """

    workers: int
    threads: int
    device: str = "cpu"

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        each = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.workers} workers of {each} each (--workers 1 for one process)"


@dataclass(frozen=True)
class Place:
    """What there is to work with.

    Attributes
    ----------
    device
        Kind of device, `cpu` or `cuda`.
    cores
        That may be used.
    gpus
        That are visible, where the device is `cuda` and none of them was chosen by number.
    memory
        Bytes of the machine that all workers together may take.
    """

    device: str
    cores: int
    gpus: int
    memory: int

    def most(self, worker_bytes: int = 0) -> int:
        """How many workers there is room for, when each takes so many bytes at least."""
        devices = self.gpus if self.device == "cuda" else self.cores
        return max(1, min(devices, self.memory // max(worker_bytes, PROCESS_BYTES[self.device])))


@dataclass(frozen=True)
class Load:
    """What there is to do.

    Attributes
    ----------
    chunks
        That are not done.
    seconds
        Of one process with one thread, by estimate.
    worker_bytes
        Memory that a worker needs with the largest of its batches.
    """

    chunks: int
    seconds: float
    worker_bytes: int


def divide(load: Load, place: Place) -> Division:
    """Workers for a load: one for each core or GPU as far as chunks and memory go, and one process where little is to
    be done."""
    workers = min(place.most(load.worker_bytes), load.chunks)
    if workers < 2 or load.seconds < WORTH_SECONDS[place.device]:
        return Division(1, place.cores, place.device)
    return Division(workers, max(1, place.cores // workers), place.device)


def taken_up(before: Division, place: Place) -> Division:
    """The division that work was begun with, as far as the place still allows: fewer workers change no result, fewer
    threads may."""
    threads = min(before.threads, place.cores)
    room = place.gpus if place.device == "cuda" else place.cores // threads
    return Division(min(before.workers, max(1, room), place.most()), threads, place.device)
