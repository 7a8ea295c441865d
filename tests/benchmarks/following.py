"""A command of a stream watched from outside: how much is done when, and at what cost in processor time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eqcli.tasks.stream.heartbeat import Beat, read_beats

LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Moment:
    """What was so at a time: items done, and seconds of processor time of the workers and of the coordinator."""

    time: float
    done: int
    workers: float
    coordinator: float


@dataclass(frozen=True)
class Followed:
    """A command from its first results to its last ones.

    Attributes
    ----------
    seconds
        Of the whole command, loading and putting together included.
    rate
        Items per second between the first and the last look at which some but not all were done.
    workers, coordinator
        Seconds of processor time per item then, of all workers together and of the process that was started.
    memory
        Bytes of the largest process at its largest.
    """

    seconds: float
    rate: float
    workers: float
    coordinator: float
    memory: int


def follow(
    process: subprocess.Popen[bytes], output: Path, total: int, look: Callable[[list[Beat]], None] = lambda beats: None
) -> Followed:
    """Watches a command until its end; `look` is called with the signs of life of the workers.

    What lies between is zero where the command ends too early. Raises SystemExit where it fails.
    """
    begin = time.monotonic()
    folder = output.with_name(f"{output.name}.work")
    seen: list[Moment] = []
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        beats = [beat for beat in read_beats(folder) if beat.items] if folder.is_dir() else []
        look(beats)
        done = sum(beat.items for beat in beats)
        if 0 < done < total and (not seen or done > seen[-1].done):
            others = [beat.pid for beat in beats if beat.pid != process.pid]
            seen.append(Moment(time.monotonic(), done, _processor(others), _processor([process.pid])))
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 4):
        raise SystemExit(f"the command ended with {process.returncode}")
    if len(seen) < 2:
        return Followed(seconds, 0.0, 0.0, 0.0, usage.ru_maxrss * 1024)
    first, last = seen[0], seen[-1]
    share = last.done - first.done
    return Followed(
        seconds,
        share / (last.time - first.time),
        (last.workers - first.workers) / share,
        (last.coordinator - first.coordinator) / share,
        usage.ru_maxrss * 1024,
    )


def _processor(pids: list[int]) -> float:
    """Seconds of processor time of some processes so far."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")
