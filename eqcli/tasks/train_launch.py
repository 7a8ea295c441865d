"""The other processes of a training on this machine: started, watched, and ended together."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import EqcliError, ExitCode, Where

if TYPE_CHECKING:
    from eqcli.engine.training_world import World

GRACE = 20.0
"""Seconds that a process has to end by itself once another one is gone, and at the end."""

PROGRAM = "eqcli.cli.train_process"
"""The module that a further process runs."""

LAST_LINES = 15
"""Of what a process said before it ended without a reason."""


@contextmanager
def started(world: World, request: dict[str, Any]) -> Iterator[World]:
    """The world as it is, or with the other processes of this machine started and waiting for this one.

    Parameters
    ----------
    request
        The arguments of the training as plain data, see `eqcli.cli.train_process`.

    Raises
    ------
    EqcliError
        Another process ended: its error, in place of what this one noticed of it.
    """
    from eqcli.engine.training_processes import Lost

    if world.launcher != "own":
        yield world
        return
    world = replace(world, port=_free_port())
    with tempfile.TemporaryDirectory(prefix="eqcli-train-") as name:
        others = _Others(world, request, Path(name))
        try:
            yield world
        except (Lost, RuntimeError) as error:
            reason = others.reason(GRACE if isinstance(error, Lost) else 2.0)
            raise reason if reason is not None else error from error
        finally:
            others.end()


class _Others:
    """The processes that this one has started."""

    def __init__(self, world: World, request: dict[str, Any], folder: Path) -> None:
        self.world = world
        self.folder = folder
        self._ended = threading.Event()
        threads = os.environ.get("OMP_NUM_THREADS") or str(threads_of(world))
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
        self.running = []
        for rank in range(1, world.size):
            own = replace(world, rank=rank, local_rank=rank)
            text = json.dumps({**request, "world": asdict(own), "parent": os.getpid(), "error": str(self._error(rank))})
            (folder / f"request-{rank}.json").write_text(text, encoding="utf-8")
            command = [sys.executable, "-m", PROGRAM, str(folder / f"request-{rank}.json")]
            with self._log(rank).open("wb") as log:
                # In a session of their own: what a terminal sends goes to this process, which tells the others.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
                )
            self.running.append(process)
        threading.Thread(target=self._watch, daemon=True).start()

    def reason(self, seconds: float = GRACE) -> EqcliError | RuntimeError | None:
        """Why another process has ended, if one does within that time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for rank, process in enumerate(self.running, 1):
                code = process.poll()
                if code is not None and (found := self._told(rank, code)) is not None:
                    return found
            time.sleep(0.05)
        return None

    def end(self) -> None:
        """Waits for the processes to end; those that do not are ended."""
        failed = sys.exc_info()[0] is not None
        deadline = time.monotonic() + (5.0 if failed else GRACE)
        self._ended.set()
        for ask in (None, signal.SIGTERM, signal.SIGKILL):
            for process in self.running:
                if ask is not None and process.poll() is None:
                    process.send_signal(ask)
            while time.monotonic() < deadline and any(process.poll() is None for process in self.running):
                time.sleep(0.02)
            deadline = time.monotonic() + 5.0
        for process in self.running:
            process.wait()

    def _told(self, rank: int, code: int) -> EqcliError | RuntimeError | None:
        """The error of a process that ended; None for one that only followed another."""
        path = self._error(rank)
        if path.is_file():
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["followed"]:
                return None
            if told["defect"]:
                return RuntimeError(f"in process {rank + 1} of {self.world.size}:\n{told['defect']}")
            return EqcliError(told["message"], Where(**told["where"]), told["hint"], ExitCode(told["exit_code"]))
        name = f"process {rank + 1} of {self.world.size}"
        if code < 0:
            return EqcliError(
                f"{name} of this training was killed ({signal.Signals(-code).name})",
                hint="The system does so where memory is short. Go on with --resume.",
                exit_code=ExitCode.INTERRUPTED,
            )
        lines = self._log(rank).read_text(encoding="utf-8", errors="replace").splitlines()
        return RuntimeError("\n".join([f"{name} ended with exit code {code}", *lines[-LAST_LINES:]]))

    def _watch(self) -> None:
        """Ends this process too where it waits for a device that waits for a process that is gone."""
        while not self._ended.wait(0.5):
            if any(process.poll() not in (None, 0) for process in self.running):
                if not self._ended.wait(3 * GRACE):
                    reason = self.reason()
                    print(f"error: {reason or 'another process of this training ended'}", file=sys.stderr, flush=True)
                    for process in self.running:
                        process.kill()
                    os._exit(int(getattr(reason, "exit_code", ExitCode.INTERRUPTED)))
                return

    def _error(self, rank: int) -> Path:
        return self.folder / f"error-{rank}.json"

    def _log(self, rank: int) -> Path:
        return self.folder / f"log-{rank}.txt"


def threads_of(world: World) -> int:
    """Threads of each process on this machine, so that together they have as many as there are cores.

    Batch systems give each of the tasks that they start cores of its own.
    """
    given = os.environ.get("SLURM_CPUS_PER_TASK") if world.launcher == "slurm" else None
    if given:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // world.local_size)


def end_with(parent: int) -> None:
    """Makes the system end this process when the one that started it ends, however that may be."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(ExitCode.INTERRUPTED)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
