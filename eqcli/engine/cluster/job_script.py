"""The script of a job: what it asks for, what it does, and what happens when it is stopped."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.engine.cluster.directives import STOPPED, Shape, directives, header
from eqcli.engine.cluster.local_processes import THREADS

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

SCRIPT = "job.sh"
NEXT_JOB = "next-job"
"""File with the number of the job that a stopped one has put into the queue, for batch systems that cannot do it."""

ONE = Shape()

LEAST_SECONDS = 60
"""A job is not told to stop before this, however short its time is."""


@dataclass(frozen=True)
class Job:
    """What a job is to do.

    Attributes
    ----------
    words
        The command, without `eqcli` before it.
    name
        Name of the job, in any characters.
    marks
        Files or folders that say, where one is there, that the command has begun before: it is then given with
        `--resume`.
    folder
        Where it runs; names in `words` and `marks` belong to it.
    shape
        How large it is.
    """

    words: tuple[str, ...]
    name: str
    folder: Path
    marks: tuple[str, ...] = ()
    shape: Shape = ONE


def job_script(job: Job, cluster: ClusterRecipe) -> str:
    """The script, ready to be submitted from the folder that it lies in."""
    asked = directives(cluster, job.name, job.shape, again=cluster.requeue)
    if cluster.scheduler == "slurm" and (warned := warning_time(cluster)) is not None:
        # To the processes of the step, not to this shell: it is they who save their state.
        asked.insert(len(asked) - len(cluster.options), f"--signal=TERM@{(cluster.seconds or 0) - warned}")
    return "\n".join(
        [
            "#!/bin/bash",
            header(cluster, asked),
            "",
            f"cd {shlex.quote(str(job.folder))} || exit 2",
            *cluster.setup,
            *(f"export {name}={cluster.cores or 1}" for name in THREADS),
            # It is this script that puts the job back, once and for every command.
            "export EQCLI_REQUEUE=0",
            *_resuming(job.marks),
            *_running(_command(job, cluster), cluster),
            *_again(cluster),
            'exit "$code"',
            "",
        ]
    )


def warning_time(cluster: ClusterRecipe) -> int | None:
    """Seconds after its start at which a job is told to stop; None where nothing is known of its end."""
    return None if cluster.seconds is None else max(LEAST_SECONDS, cluster.seconds - cluster.grace)


def interpreter(cluster: ClusterRecipe) -> str:
    """Python on the nodes: as the cluster says, that of its `setup`, or the one that runs this."""
    return cluster.python or ("python" if cluster.setup else sys.executable)


def _command(job: Job, cluster: ClusterRecipe) -> str:
    words: Sequence[str] = [interpreter(cluster), "-m", "eqcli", *job.words]
    return shlex.join(words) + (" $resume" if job.marks else "")


def _resuming(marks: tuple[str, ...]) -> list[str]:
    if not marks:
        return [""]
    there = " || ".join(f"[ -e {shlex.quote(mark)} ]" for mark in marks)
    return ["", "resume=", f"if {there}; then resume=--resume; fi"]


def _running(command: str, cluster: ClusterRecipe) -> list[str]:
    if cluster.scheduler == "slurm":
        # Steps do not take the number of cores from the job by themselves.
        step = f"srun --cpus-per-task={cluster.cores or 1} --kill-on-bad-exit=1"
        return ["code=0", f"{step} {command} || code=$?"]
    warned = warning_time(cluster)
    limited = f"timeout --signal=TERM --preserve-status {warned} " if warned is not None else ""
    return [
        f"{limited}{command} &",
        "work=$! told=",
        # What the batch system tells this shell alone is passed on, and the end of the work is waited for.
        "trap 'told=1; kill -TERM \"$work\" 2>/dev/null' TERM INT USR1 USR2 XCPU",
        'wait "$work"; code=$?',
        'while [ "$told" ]; do told=; wait "$work"; code=$?; done',
    ]


def _again(cluster: ClusterRecipe) -> list[str]:
    """A job that was stopped goes back into the queue; one that failed does not."""
    if not cluster.requeue or cluster.scheduler == "lsf":  # LSF does so itself for this exit code.
        return []
    action = {
        "slurm": 'scontrol requeue "$SLURM_JOB_ID"',
        "sge": "code=99",  # SGE runs such jobs again.
        "pbs": f'cd "$PBS_O_WORKDIR" && qsub {SCRIPT} > {NEXT_JOB}',
    }[cluster.scheduler]
    return [f'if [ "$code" -eq {STOPPED} ]; then {action}; fi']
