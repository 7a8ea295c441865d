"""What a job asks of each batch system, in its own words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

MARKS = {"slurm": "#SBATCH", "pbs": "#PBS", "lsf": "#BSUB", "sge": "#$"}
"""What stands before each directive in a script."""

SUBMIT = {"slurm": "sbatch", "pbs": "qsub", "lsf": "bsub", "sge": "qsub"}
"""The command that takes a script."""

LOGS = {"slurm": "%j.log", "pbs": "", "lsf": "%J.log", "sge": "$JOB_ID.log"}
"""The log of a job, in the folder that it was submitted from; PBS names it after the job."""

LONGEST_NAME = 15
"""Characters of the names of jobs that every batch system takes."""


@dataclass(frozen=True)
class Shape:
    """How large a job is.

    Attributes
    ----------
    nodes
        Its nodes.
    processes
        Processes on each node, which have the cores, memory and GPUs of a worker each.
    """

    nodes: int = 1
    processes: int = 1


def job_name(name: str) -> str:
    """A name as every batch system takes it: letters, digits, hyphens and underscores, a letter first."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")
    plain = plain if plain[:1].isalpha() else f"e-{plain}".rstrip("-")
    return plain[:LONGEST_NAME].rstrip("-_")


def directives(cluster: ClusterRecipe, name: str, shape: Shape, *, again: bool = False) -> list[str]:
    """The directives of a job, without their mark; those of the person come last, so that they go before.

    Parameters
    ----------
    again
        Whether a job that was stopped may be put back into the queue.
    """
    own = WORDS[cluster.scheduler](cluster, shape, again)
    return [*_name(cluster.scheduler, job_name(name)), *own, *cluster.options]


def header(cluster: ClusterRecipe, lines: list[str]) -> str:
    """Directives as they stand in a script."""
    return "\n".join(f"{MARKS[cluster.scheduler]} {line}" for line in lines)


def _name(scheduler: str, name: str) -> list[str]:
    return [{"slurm": f"--job-name={name}", "lsf": f"-J {name}"}.get(scheduler, f"-N {name}")]


def _slurm(cluster: ClusterRecipe, shape: Shape, again: bool) -> list[str]:
    lines = [f"--output={LOGS['slurm']}", "--open-mode=append", f"--nodes={shape.nodes}"]
    lines += [f"--ntasks-per-node={shape.processes}", f"--cpus-per-task={cluster.cores or 1}"]
    lines += [f"--mem={cluster.mebibytes * shape.processes}M"] if cluster.mebibytes else []
    lines += [f"--gres=gpu:{cluster.gpus * shape.processes}"] if cluster.gpus else []
    lines += [f"--time={clock(cluster.seconds)}"] if cluster.seconds else []
    lines += [f"--partition={cluster.queue}"] if cluster.queue else []
    lines += [f"--account={cluster.account}"] if cluster.account else []
    return [*lines, "--requeue" if again else "--no-requeue"]


def _pbs(cluster: ClusterRecipe, shape: Shape, again: bool) -> list[str]:
    chunk = f"select={shape.nodes}:ncpus={(cluster.cores or 1) * shape.processes}:mpiprocs={shape.processes}"
    chunk += f":ngpus={cluster.gpus * shape.processes}" if cluster.gpus else ""
    chunk += f":mem={cluster.mebibytes * shape.processes}mb" if cluster.mebibytes else ""
    lines = ["-j oe", f"-l {chunk}"]
    lines += [f"-l walltime={clock(cluster.seconds)}"] if cluster.seconds else []
    lines += [f"-q {cluster.queue}"] if cluster.queue else []
    lines += [f"-A {cluster.account}"] if cluster.account else []
    return [*lines, f"-r {'y' if again else 'n'}"]


def _lsf(cluster: ClusterRecipe, shape: Shape, again: bool) -> list[str]:
    slots = (cluster.cores or 1) * shape.processes
    lines = [f"-o {LOGS['lsf']}", f"-n {slots * shape.nodes}", f'-R "span[ptile={slots}]"']
    if cluster.mebibytes:
        memory = cluster.mebibytes * shape.processes
        lines += [f"-M {memory}MB", f'-R "rusage[mem={memory}MB]"']
    lines += [f'-gpu "num={cluster.gpus * shape.processes}"'] if cluster.gpus else []
    if cluster.seconds:
        minutes = math.ceil(cluster.seconds / 60)
        lines.append(f"-W {minutes // 60:02d}:{minutes % 60:02d}")
    lines += [f"-q {cluster.queue}"] if cluster.queue else []
    lines += [f'-P "{cluster.account}"'] if cluster.account else []
    return [*lines, f'-r -Q "{STOPPED}"' if again else "-rn"]


def _sge(cluster: ClusterRecipe, shape: Shape, again: bool) -> list[str]:
    slots = (cluster.cores or 1) * shape.processes
    lines = ["-cwd", "-S /bin/bash", "-j y", f"-o {LOGS['sge']}"]
    lines += [f"-pe smp {slots}"] if slots > 1 else []
    lines += [f"-l h_vmem={math.ceil(cluster.mebibytes * shape.processes / slots)}M"] if cluster.mebibytes else []
    lines += [f"-l gpu={cluster.gpus * shape.processes}"] if cluster.gpus else []
    lines += [f"-l h_rt={clock(cluster.seconds)}"] if cluster.seconds else []
    lines += [f"-q {cluster.queue}"] if cluster.queue else []
    lines += [f"-P {cluster.account}"] if cluster.account else []
    return [*lines, f"-r {'y' if again else 'n'}"]


STOPPED = 130
"""The exit code of a command that was stopped and can go on."""

WORDS: dict[str, Callable[[ClusterRecipe, Shape, bool], list[str]]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "lsf": _lsf,
    "sge": _sge,
}


def clock(seconds: int) -> str:
    """Seconds as hours:minutes:seconds; hours may be more than a day's."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
