"""Workers that are jobs of a batch system, one worker to a job."""

from __future__ import annotations

import copy
import shlex
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.cluster.directives import SUBMIT, Shape, directives
from eqcli.engine.cluster.job_state import job_state
from eqcli.engine.cluster.local_processes import NO_PAGES, OPTIONS, STARTS, THREADS
from eqcli.errors import InputError

if TYPE_CHECKING:
    from dask_jobqueue.core import JobQueueCluster
    from distributed.security import Security

    from eqcli.progress import Reporter
    from eqcli.recipe.cluster import ClusterRecipe

CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
NAME = "eqcli-worker"
CLOSE_SECONDS = 60.0
ASK_SECONDS = 15.0
"""Between two questions to the batch system about jobs whose workers are not there."""
REFUSALS = 6
"""Times in a row, each after twice the time, that a batch system may refuse a job during the work."""
JOBS_EACH = 10
"""Jobs that are submitted for each worker wished for, before something must be wrong with all of them."""


def require_commands(cluster: ClusterRecipe) -> None:
    """Raises InputError where the commands of the batch system are not on this machine."""
    command = SUBMIT[cluster.scheduler]
    if shutil.which(command) is None:
        raise InputError(
            f"the command '{command}' of {cluster.scheduler.upper()} is not on this machine",
            hint="Give the command on a login node of the cluster, or write `scheduler: local`.",
        )


def open_batch(
    count: int, cluster: ClusterRecipe, folder: Path, security: Security | None, report: Reporter
) -> tuple[JobQueueCluster, BatchWorkers]:
    """The scheduler of Dask in this process, and what submits jobs for it. Raises InputError without a batch system."""
    import dask_jobqueue

    require_commands(cluster)
    known = getattr(dask_jobqueue, CLASSES[cluster.scheduler])
    quoting = type(known.__name__, (known,), {"_get_worker_security": lambda self, security: _quoted(security)})
    made = quoting(**_arguments(cluster, folder, security))
    return made, BatchWorkers(made, count, cluster, report)


def close_batch(dask_cluster: JobQueueCluster) -> None:
    """Cancels the jobs and ends the scheduler."""
    from distributed.core import Status

    # Dask insists that every job it ever made has this mark, and does not set it itself.
    for job in list(dask_cluster._created):
        job.status = Status.closed
    dask_cluster.close(timeout=CLOSE_SECONDS)


class BatchWorkers:
    """Keeps as many jobs in the queue and running as workers are wished for."""

    def __init__(self, dask_cluster: JobQueueCluster, count: int, cluster: ClusterRecipe, report: Reporter) -> None:
        self.dask_cluster = dask_cluster
        self.count = count
        self.cluster = cluster
        self.report = report
        self.logs = dask_cluster._job_kwargs["log_directory"]
        self._told = 0
        self._asked = time.monotonic()
        self._stillborn = 0
        self._submitted = 0
        self._refused = 0
        self._next = 0.0

    def start(self) -> None:
        """Submits one job for each worker. Raises InputError where the batch system does not take it."""
        self._submit()
        jobs = ", ".join(job_ids(self.dask_cluster))
        self.report.message(
            f"{self.count} jobs submitted to {self.cluster.scheduler.upper()} ({jobs}); waiting for them"
        )

    def tend(self, present: set[str], seen: set[str]) -> int:
        """Submits jobs for those that ended; gives their number."""
        if len(present) > self._told:
            self.report.message(f"{len(present)} of {self.count} workers are there")
        self._told = max(self._told, len(present))
        self._drop_ended(present, seen)
        missing = self.count - len(self.dask_cluster.workers)
        if missing > 0:
            if self._submitted >= JOBS_EACH * self.count:
                hint = f"Their logs are in {self.logs}."
                raise InputError(f"{self._submitted} jobs have ended, and the work is not done", hint=hint)
            self._resubmit()
        return max(0, missing)

    def _drop_ended(self, present: set[str], seen: set[str]) -> None:
        """Forgets jobs that ended before their worker came, or long after it went."""
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        for name, job in list(self.dask_cluster.workers.items()):
            number = getattr(job, "job_id", None)
            if str(name) in present or not number or job_state(self.cluster.scheduler, str(number))[0] != "ended":
                continue
            del self.dask_cluster.workers[name]
            self._stillborn = 0 if str(name) in seen else self._stillborn + 1
            if self._stillborn >= STARTS:
                raise InputError(
                    f"jobs of workers end before they are ready, job {number} last",
                    hint=f"Their logs are in {self.logs}.",
                )

    def stop(self) -> None:
        """Jobs are cancelled by Dask when the cluster is closed."""

    def _resubmit(self) -> None:
        """As `_submit`, but a batch system that is out of order for a while does not end the work."""
        if time.monotonic() < self._next:
            return
        try:
            self._submit()
            self._refused = 0
        except InputError as error:
            self._refused += 1
            self._next = time.monotonic() + ASK_SECONDS * 2**self._refused
            if self._refused >= REFUSALS:
                raise
            self.report.warning(f"{error.message}; it is asked again later")

    def _submit(self) -> None:
        made = self.dask_cluster

        # Not by `scale`, which keeps to itself what goes wrong.
        async def submit() -> None:
            while len(made.worker_spec) < self.count:
                made.worker_spec.update(made.new_worker_spec())
            await made._correct_state()

        before = set(job_ids(made))
        try:
            made.sync(submit)
        except RuntimeError as error:
            for name in [name for name, job in made.workers.items() if not getattr(job, "job_id", None)]:
                del made.workers[name]
            raise InputError(
                f"{cluster_name(self.cluster)} did not take the job of a worker: {_stderr(str(error))}",
                hint="Compare queue, account, walltime, memory and options of the cluster's file with what it offers.",
            ) from error
        finally:
            self._submitted += len(set(job_ids(made)) - before)


def job_ids(dask_cluster: JobQueueCluster) -> list[str]:
    """Numbers of the jobs of the workers that are there or will come."""
    return [str(job.job_id) for job in dask_cluster.workers.values() if getattr(job, "job_id", None)]


def cluster_name(cluster: ClusterRecipe) -> str:
    """The batch system as messages name it."""
    return cluster.scheduler.upper()


def _arguments(cluster: ClusterRecipe, folder: Path, security: Security | None) -> dict[str, Any]:
    cores = cluster.cores or 1
    lines = [*cluster.setup, *(f"export {name}={cores}" for name in THREADS)]
    arguments: dict[str, Any] = {
        "cores": cores,
        "processes": 1,
        "memory": f"{cluster.mebibytes or 1024}MiB",
        "python": shlex.quote(cluster.python or ("python" if cluster.setup else sys.executable)),
        "job_name": NAME,
        "log_directory": str(folder),
        "death_timeout": cluster.start_timeout,
        "job_script_prologue": [f"cd {shlex.quote(str(Path.cwd()))}", *lines],
        # Every line of Dask's own header is left out for those of submitted jobs.
        "job_directives_skip": ["#"],
        "job_extra_directives": _worker_directives(cluster, folder),
        "worker_extra_args": list(OPTIONS),
        "scheduler_options": {"dashboard_address": NO_PAGES},
        "local_directory": '"${TMPDIR:-/tmp}"',
        "security": security,
        "protocol": "tls://" if security is not None else None,
    }  # fmt: skip
    if cluster.interface:
        arguments["interface"] = cluster.interface
    return arguments


def _worker_directives(cluster: ClusterRecipe, folder: Path) -> list[str]:
    """As for any job, but it is this process that replaces those that end; logs go to the folder by its whole name."""
    lines = directives(cluster, NAME, Shape(), again=False)
    replaced = {
        "--output=%j.log": f'--output="{str(folder).replace("%", "%%")}/worker-%j.log"',
        "-o %J.log": f'-o "{folder}/worker-%J.log"',
        "-o $JOB_ID.log": f'-o "{folder}/worker-$JOB_ID.log"',
        "-j oe": f'-j oe -o "{folder}/"',
    }
    return [replaced.get(line, line) for line in lines]


def _quoted(security: Security | None) -> Security | None:
    """The credentials with file names as a shell takes them: Dask writes them into scripts as they are."""
    if security is None:
        return None
    quoted = copy.copy(security)
    for name in ("tls_ca_file", "tls_worker_key", "tls_worker_cert"):
        setattr(quoted, name, shlex.quote(getattr(security, name)))
    return quoted


def _stderr(text: str) -> str:
    """What a command said, from the message of an error about it."""
    with suppress(IndexError):
        text = text.split("stderr:\n", 1)[1]
    return " ".join(text.split()) or "it said nothing"
