"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.engine.cluster.worker import WATCHED
from eqcli.engine.memory_limit import SHARERS
from eqcli.errors import InputError

if TYPE_CHECKING:
    from distributed.security import Security

STARTS = 3
"""Processes in a row that end before they have reported; then something is wrong with all of them."""

NO_PAGES = "127.0.0.1:0"
"""Where Dask serves pages about itself, which nobody asked for: a free port that other machines do not see."""

OPTIONS = (
    *("--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--dashboard-address", NO_PAGES),
    *("--preload", "eqcli.engine.cluster.worker_settings", "--preload", "eqcli.engine.cluster.worker"),
)
"""Of every worker: one chunk at a time, and memory is left to the batch system."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass
class _Process:
    place: int
    name: str
    popen: subprocess.Popen[bytes]
    log: Path


class LocalProcesses:
    """A fixed number of worker processes; one that dies is replaced.

    Each is a program of its own, not a copy of this one, so that nothing of the
    coordinator's script is run again in it. It ends when its standard input
    closes, as that of a killed coordinator does.
    """

    def __init__(
        self, count: int, threads: int, address: str, security: Security | None, folder: Path, scratch: Path
    ) -> None:
        self.count = count
        self.threads = threads
        self.address = address
        self.security = security
        self.folder = folder
        self.scratch = scratch
        self._processes: list[_Process] = []
        self._started = 0
        self._stillborn = 0

    def start(self) -> None:
        """Starts all of them; they report when they are ready."""
        for place in range(self.count):
            self._processes.append(self._begin(place))

    def tend(self, present: set[str], seen: set[str]) -> int:
        """Replaces processes that have ended; gives their number.

        `present` are the names of workers that have reported and are there, `seen` of all that ever were.
        Raises InputError where none comes up.
        """
        replaced = 0
        for position, process in enumerate(self._processes):
            if process.popen.poll() is None:
                continue
            self._stillborn = 0 if process.name in seen else self._stillborn + 1
            if self._stillborn >= STARTS:
                raise InputError(
                    f"workers end before they are ready (exit code {process.popen.returncode})", hint=_tail(process.log)
                )
            self._processes[position] = self._begin(process.place)
            replaced += 1
        return replaced

    def stop(self) -> None:
        """Ends all at once: what they have committed stands."""
        for process in self._processes:
            process.popen.kill()
        for process in self._processes:
            process.popen.wait()
            if process.popen.stdin is not None:
                process.popen.stdin.close()
        self._processes.clear()

    def _begin(self, place: int) -> _Process:
        name = f"local-{place}-{self._started}"
        self._started += 1
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--name", name]
        command += ["--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self.scratch), *OPTIONS]
        if self.security is not None:
            tls = self.security.get_tls_config_for_role("worker")
            command += ["--tls-ca-file", tls["ca_file"], "--tls-cert", tls["cert"], "--tls-key", tls["key"]]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=self._environment(place),
                start_new_session=True,
            )  # fmt: skip
        return _Process(place, name, popen, log)

    def _environment(self, place: int) -> dict[str, str]:
        environment = os.environ | {name: str(self.threads) for name in THREADS}
        environment |= {WATCHED: "1", "PYTHONUNBUFFERED": "1", SHARERS: str(self.count)}
        # Imports are those of this process, wherever it found them.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if devices := visible_gpus():
            environment["CUDA_VISIBLE_DEVICES"] = devices[place % len(devices)]
        return environment


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _tail(log: Path, lines: int = 5) -> str:
    try:
        return "\n  ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
    except OSError:
        return ""
