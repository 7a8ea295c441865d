"""Signs of life of the workers of a request, for those who watch."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from eqcli.files import write_json

FOLDER = "workers"
EVERY = 1.0
"""Seconds between two signs of life."""


@dataclass
class Beat:
    """What one worker says of itself.

    Attributes
    ----------
    host, pid
        Where it runs.
    device, precision
        What it computes with.
    started, alive
        Unix time of its start and of its last sign of life.
    chunk
        Number of the chunk that it works on; None between chunks.
    items, failed
        Items that this process has done, failed ones among them, and those that failed.
    chunks
        Chunks that it has finished.
    seconds
        Time that it worked.
    threads
        Threads that one operation may use.
    """

    host: str
    pid: int
    device: str = ""
    precision: str = ""
    started: float = 0.0
    alive: float = 0.0
    chunk: int | None = None
    items: int = 0
    failed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    threads: int = 1

    @property
    def name(self) -> str:
        """That of its file, without the ending."""
        return f"{self.host}-{self.pid}"


class Heartbeat:
    """Writes the file of this process in a work folder."""

    def __init__(self, folder: Path, device: str, precision: str) -> None:
        import torch

        now = time.time()
        self.folder = folder / FOLDER
        self.beat = Beat(
            socket.gethostname(), os.getpid(), device, precision, now, now, threads=torch.get_num_threads()
        )
        self._last = 0.0

    def say(self, *, at_once: bool = False) -> None:
        """Writes where this process stands, if the last time is long enough ago."""
        now = time.monotonic()
        if at_once or now - self._last >= EVERY:
            self._last = now
            self.beat.alive = time.time()
            write_json(self.folder / f"{self.beat.name}.json", asdict(self.beat))


def read_beats(folder: Path) -> list[Beat]:
    """The last sign of life of every process that worked in a work folder, by name."""
    known = {entry.name for entry in fields(Beat)}
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found.append(Beat(**{key: value for key, value in content.items() if key in known}))
        except (OSError, ValueError, TypeError):  # removed or of another version meanwhile
            continue
    return found
