"""Where work is done when it is not done in one process: `cluster.yaml`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from eqcli.recipe.schema import Section

WALLTIME = r"^(\d+-)?\d+:[0-5]\d:[0-5]\d$|^\d+(\.\d+)? ?(min|h|d)$"
MEMORY = r"^\d+(\.\d+)? ?[KMGT]i?B?$"
MINUTES = {"min": 1.0, "h": 60.0, "d": 1440.0}
MEBIBYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
WORD = r"^[^\s\"'$`\\]+$"
WORD_FORM = {"form": "one word without spaces and quotes"}
ONE_LINE = r"^[^\r\n]+$"

Line = Annotated[str, Field(pattern=ONE_LINE)]


class ClusterRecipe(Section):
    """Workers of one machine or of a batch system, and what their jobs ask for."""

    eqcli: Literal[1] = Field(1, description="Version of the recipe language.")
    task: Literal["cluster"] = Field(description="What the recipe does.", examples=["cluster"])
    scheduler: Literal["slurm", "pbs", "lsf", "sge", "local"] = Field(
        "local", description="The batch system; `local` starts processes on this machine.", examples=["slurm"]
    )
    workers: int = Field(
        1, ge=1, description="Workers: jobs of the batch system, or processes of this machine; `--workers` goes before."
    )
    cores: int | None = Field(
        None,
        ge=1,
        description="Cores of each worker or process of a training, used as threads; by default 1, and with `local` an "
        "even share of the machine.",
        examples=[8],
    )
    memory: str | None = Field(
        None,
        pattern=MEMORY,
        description="Memory of each worker or process of a training; by default what the batch system gives.",
        examples=["16GB"],
        json_schema_extra={"form": "a number and K, M, G or T, e.g. 16GB"},
    )
    gpus: int = Field(0, ge=0, description="GPUs of each worker or process of a training.")
    walltime: str | None = Field(
        None,
        pattern=WALLTIME,
        description="Longest time of a job; by default what the batch system gives.",
        examples=["08:00:00"],
        json_schema_extra={"form": "hours:minutes:seconds, days-hours:minutes:seconds, or e.g. 90min, 8h, 2d"},
    )
    queue: str | None = Field(
        None,
        pattern=WORD,
        json_schema_extra={**WORD_FORM},
        description="Queue (partition) that jobs wait in.",
        examples=["gpu"],
    )
    account: str | None = Field(
        None,
        pattern=WORD,
        json_schema_extra={**WORD_FORM},
        description="Account or project that jobs are charged to.",
        examples=["chem-042"],
    )
    nodes: int = Field(1, ge=1, description="Nodes of a submitted training.")
    devices: int = Field(1, ge=1, description="Processes of a submitted training on each node, one for each device.")
    requeue: bool = Field(
        True, description="Whether a job that was stopped (preempted, out of time) is put back into the queue."
    )
    grace: int = Field(
        120, ge=0, description="Seconds before the end of `walltime` at which a submitted job is told to stop."
    )
    setup: tuple[Line, ...] = Field(
        (),
        description="Lines of shell before the work, e.g. to load modules or an environment.",
        examples=[("source .venv/bin/activate",)],
    )
    options: tuple[Line, ...] = Field(
        (),
        description="Further options of the batch system, as they would stand in a job script after its mark.",
        examples=[("--constraint=a100",)],
    )
    python: str | None = Field(
        None,
        pattern=ONE_LINE,
        description="Python on the nodes; by default the one that runs eqcli here, or the one that `setup` brings.",
        examples=["python"],
    )
    logs: str | None = Field(
        None,
        pattern=ONE_LINE,
        description="Folder for logs of workers, from the current one, which the nodes must see; by default beside the "
        "output.",
        examples=["logs"],
    )
    interface: str | None = Field(
        None,
        pattern=WORD,
        json_schema_extra={**WORD_FORM},
        description="Network interface between workers and coordinator.",
        examples=["ib0"],
    )
    security: Literal["tls", "none"] = Field(
        "tls",
        description="`tls`: workers and coordinator show each other certificates made for this run alone. `none`: "
        "whoever reaches the port of the coordinator can run commands in your name.",
    )
    start_timeout: int = Field(
        300, ge=10, description="Seconds after which a worker that cannot reach the coordinator gives up."
    )
    heartbeat_timeout: int = Field(
        300, ge=10, description="Seconds of silence after which a worker counts as lost and its work is done elsewhere."
    )

    @field_validator("options")
    @classmethod
    def _no_marks(cls, options: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for option in options:
            if option.startswith("#"):
                raise ValueError(f"'{option}' is written without its mark: {option.lstrip('#$').split(maxsplit=1)[-1]}")
        return options

    @property
    def is_batch(self) -> bool:
        """Whether workers are jobs of a batch system."""
        return self.scheduler != "local"

    @property
    def seconds(self) -> int | None:
        """The wall time in seconds."""
        return None if self.walltime is None else _seconds(self.walltime)

    @property
    def mebibytes(self) -> int | None:
        """The memory of one worker in MiB, rounded up."""
        if self.memory is None:
            return None
        number, unit = re.match(r"([\d.]+) ?([KMGT])", self.memory).groups()  # type: ignore[union-attr]
        return max(1, -int(-float(number) * MEBIBYTES[unit] // 1))


def _seconds(walltime: str) -> int:
    if ":" not in walltime:
        number, unit = re.match(r"([\d.]+) ?(min|h|d)", walltime).groups()  # type: ignore[union-attr]
        return round(60 * float(number) * MINUTES[unit])
    days, _, clock = walltime.rpartition("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
