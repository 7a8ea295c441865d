"""Killing a training at a chosen moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from eqcli.engine.training_checkpoint import list_checkpoints


def newest_step(output: Path) -> int:
    """The step of the newest checkpoint of a run; -1 without any."""
    found = list_checkpoints(output / "checkpoints")
    return int(found[0].stem.split("-")[1]) if found else -1


def send_when(happened: Callable[[], Any], process: BaseProcess, number: int) -> float:
    """Sends a signal as soon as something has happened; returns the moment by which all must be over."""
    deadline = time.monotonic() + 60
    while not happened():
        assert process.is_alive(), "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, number)
    return deadline


def kill_when(happened: Callable[[], Any], process: BaseProcess, number: int = signal.SIGKILL) -> None:
    """Sends a signal as soon as something has happened, and waits for the end of the process alone."""
    deadline = send_when(happened, process, number)
    if number != signal.SIGKILL:
        process.join(60)
        return
    assert process.pid is not None
    # `join` would wait for orphaned workers too, which take seconds to notice.
    while is_there(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
