"""What is known of some work without touching it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eqcli.errors import ExitCode, Failure

Standing = Literal["done", "running", "waiting", "stopped", "failed", "unknown"]

STALE_SECONDS = 120.0
"""Silence after which a worker is marked: it may be at a long step, or dead."""


@dataclass
class WorkerStatus:
    """One process that works or worked.

    Attributes
    ----------
    silent
        Seconds since its last sign of life.
    stale
        Whether that is suspiciously long.
    """

    worker: str
    device: str
    chunk: int | None
    done: int
    failed: int
    rate: float | None
    silent: float
    stale: bool


@dataclass
class JobStatus:
    """The last job that was submitted for the work.

    Attributes
    ----------
    state
        `waiting`, `running`, `ended` or `unknown`.
    said
        The batch system's own word for it.
    """

    job: str
    scheduler: str
    state: str
    said: str
    log: str


@dataclass
class StepStatus:
    """One step of a pipeline that was begun."""

    step: str
    status: str
    seconds: float
    message: str


@dataclass
class Status:
    """The standing of some work.

    Attributes
    ----------
    kind
        What it is, e.g. `training`.
    state
        `running` only where a process holds the folder.
    unit
        What is counted.
    done, failed, total
        Failed ones are among the done; a total is None where it is not known beforehand.
    rate
        Per second, as of late; None where nothing tells.
    left
        Seconds to the end at this rate.
    facts
        Further figures by name.
    notes
        What to do, or what is odd.
    """

    path: Path
    kind: str
    state: Standing
    unit: str = "structures"
    done: int = 0
    failed: int = 0
    total: int | None = None
    rate: float | None = None
    left: float | None = None
    workers: list[WorkerStatus] = field(default_factory=list)
    steps: list[StepStatus] = field(default_factory=list)
    job: JobStatus | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table: steps of a pipeline, or workers."""
        if self.steps:
            return [vars(step) | {"seconds": round(step.seconds, 1)} for step in self.steps]
        return [
            {
                "worker": worker.worker,
                "device": worker.device,
                "chunk": worker.chunk,
                "done": worker.done,
                "failed": worker.failed,
                "per second": None if worker.rate is None else round(worker.rate, 2),
                "last sign": f"{duration(worker.silent)} ago" + (", stale" if worker.stale else ""),
            }
            for worker in self.workers
        ]

    def estimate(self) -> None:
        """Sets `left` from what is left to do and the rate."""
        if self.total is not None and self.rate and self.state == "running":
            self.left = max(0, self.total - self.done) / self.rate

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "kind": self.kind,
            "state": self.state,
            "unit": self.unit,
            "done": self.done,
            "failed": self.failed,
            "total": self.total,
            "rate": self.rate,
            "seconds_left": self.left,
            "workers": [vars(worker) for worker in self.workers],
            "steps": [vars(step) for step in self.steps],
            "job": vars(self.job) if self.job else None,
            "facts": self.facts,
            "notes": self.notes,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        rows = [("what", f"{self.kind} {self.path}"), ("state", self.state)]
        if self.unit:
            share = f" of {self.total} ({100 * self.done / self.total:.0f} %)" if self.total else ""
            rows.append(("done", f"{self.done}{share} {self.unit}"))
        if self.failed:
            rows.append(("failed", str(self.failed)))
        if self.rate is not None:
            rows.append(("speed", speed(self.rate, self.unit)))
        if self.left is not None:
            rows.append(("left", f"about {duration(self.left)}"))
        if len(self.workers) == 1:
            one = self.rows[0]
            rows.append(("worker", f"{one['worker']} on {one['device']}, last sign {one['last sign']}"))
        if self.job is not None:
            rows.append(("job", f"{self.job.job} of {self.job.scheduler}: {self.job.said or self.job.state}"))
            rows.append(("log", self.job.log))
        rows += [(name.replace("_", " "), str(value)) for name, value in self.facts.items()]
        return [*rows, *(("note", note) for note in self.notes)]


def duration(seconds: float) -> str:
    """A time in the two largest units that it has."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole // 60 % 60} min"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def speed(rate: float, unit: str) -> str:
    """A rate in the unit of time that makes it a number above one."""
    for name, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if rate * seconds >= 1 or name == "h":
            return f"{rate * seconds:.3g} {unit}/{name}"
    raise AssertionError
