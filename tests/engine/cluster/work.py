"""Work that tests give to workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from eqcli.errors import InputError, Where


def square(number: int) -> int:
    return number * number


def told(kind: str, number: int, word: str) -> str:
    return f"{kind} {number}: {word}"


def slow_square(folder: Path, seconds: float, number: int) -> int:
    """Leaves the number of its process behind."""
    (folder / f"at-work-{os.getpid()}").touch()
    time.sleep(seconds)
    return number * number


def dies_once(folder: Path, fatal: int, number: int) -> int:
    """The first process that takes the `fatal` number is killed over it."""
    mark = folder / "died"
    if number == fatal and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def dies_always(fatal: int, number: int) -> int:
    if number == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def gets_on(folder: Path, number: int) -> int:
    """Every process gets one step further before it is killed; five are needed."""
    mark = folder / f"steps-{number}"
    done = int(mark.read_text()) if mark.exists() else 0
    if number == 1 and done < 5:
        mark.write_text(str(done + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def fails_late(number: int) -> int:
    if number == 6:
        raise InputError("this cannot be", Where("six.xyz", frame=6), "Leave it out.")
    return number * number


def threads(number: int) -> tuple[int, str]:
    """Threads of torch, and the process that says so."""
    import torch

    time.sleep(0.2)
    return torch.get_num_threads(), f"{os.getpid()}"


def dask_settings(names: list[str], number: int) -> tuple[list[object], dict[str, float]]:
    """Settings of Dask in this worker, and the milliseconds between two of each of the things that it does in turn."""
    import dask.config
    from distributed import get_worker

    turns = {name: callback.callback_time for name, callback in get_worker().periodic_callbacks.items()}
    return [dask.config.get(name) for name in names], turns
