"""Workers that are killed as soon as they are at work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eqcli.tasks.stream.heartbeat import read_beats

SECONDS = 100
"""To wait for a worker at most."""


@contextmanager
def one_killed(work: Path) -> Iterator[list[int]]:
    """Kills the first other process that gives a sign of life in a work folder; its number is in the list then."""
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + SECONDS
        while not killed and time.monotonic() < deadline:
            for beat in read_beats(work):
                if not killed and beat.pid != os.getpid():
                    killed.append(beat.pid)
                    os.kill(beat.pid, signal.SIGKILL)
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        killer.join()
