"""Give a training, a pipeline or any other command to a batch system."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.cluster.directives import Shape
from eqcli.engine.cluster.job_script import Job, job_script
from eqcli.engine.cluster.submission import Submitted, jobs_folder, read_submitted, submit_job
from eqcli.errors import ExitCode, Failure, InputError
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

RUN_MARK = "recipe.yaml"
"""File that a training run begins with."""


@dataclass(frozen=True)
class Command:
    """A command that is to run as a job.

    Attributes
    ----------
    words
        Without `eqcli` before them.
    output
        File or folder that it makes; None where it makes none.
    resumes
        Whether it takes `--resume` and was not given it.
    """

    words: tuple[str, ...]
    output: Path | None = None
    resumes: bool = False

    @property
    def name(self) -> str:
        """Of the job."""
        return self.output.stem if self.output is not None else self.words[0]

    @property
    def is_training(self) -> bool:
        return self.words[0] == "train"


@dataclass
class SubmitResult:
    """What became of a command.

    Attributes
    ----------
    script
        The text of the job's script.
    submitted
        None where it was only to be shown.
    """

    script: str
    folder: Path
    submitted: Submitted | None = None
    failures: list[Failure] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        job = self.submitted
        return {
            "script": self.script,
            "folder": str(self.folder),
            "job": job.job if job else None,
            "scheduler": job.scheduler if job else None,
            "log": job.log if job else None,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        if self.submitted is None:
            return []
        return [("job", self.submitted.job), ("log", self.submitted.log), ("script", self.submitted.script)]


def submit(
    command: Command, cluster: ClusterRecipe, *, dry_run: bool = False, report: Reporter | None = None
) -> SubmitResult:
    """Writes the script of a command and gives it to the batch system, or only says what it would be.

    Raises InputError where the cluster cannot run it: no batch system, several nodes where it cannot start processes
    on them, an earlier job that has not ended.
    """
    report = report or Silent()
    job = make_job(command, cluster)
    script = job_script(job, cluster)
    output = command.output or Path("jobs") / command.name
    result = SubmitResult(script, jobs_folder(output))
    if dry_run:
        return result
    begun = command.resumes and any(Path(mark).exists() for mark in job.marks)
    earlier = read_submitted(output)
    result.submitted = submit_job(job, cluster, output)
    if begun:
        report.message(f"{output} was begun before: the job goes on with it")
    elif earlier is not None:
        report.message(f"an earlier job for {output} has ended; this one begins anew")
    return result


def make_job(command: Command, cluster: ClusterRecipe) -> Job:
    """The job of a command. Raises InputError where the cluster cannot run it."""
    if not cluster.is_batch:
        raise InputError(
            "this cluster has no batch system to submit to (scheduler: local)",
            hint="Give the command itself, or name a batch system under `scheduler`.",
        )
    nodes, devices = (cluster.nodes, cluster.devices) if command.is_training else (1, 1)
    if nodes > 1 and cluster.scheduler != "slurm":
        raise InputError(
            "trainings on several nodes are submitted to Slurm alone",
            hint="Write `nodes: 1`, or start the processes with torchrun in a script of your own.",
        )
    words = command.words
    if nodes * devices > 1:
        words = (*words, "--devices", str(devices), *(("--nodes", str(nodes)) if nodes > 1 else ()))
    # Slurm starts the processes of a training; elsewhere the command does so itself.
    marks = resume_marks(command)
    return Job(words, command.name, Path.cwd(), marks, Shape(nodes, devices))


def resume_marks(command: Command) -> tuple[str, ...]:
    """What is there, in the current folder, once a command has begun."""
    if not command.resumes or command.output is None:
        return ()
    output = command.output
    if command.is_training:
        return (str(output / RUN_MARK),)
    if output.suffix:
        return (f"{output}.work",)
    return (str(output),)
