"""Giving jobs to a batch system, and remembering which."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.cluster.batch_workers import cluster_name, require_commands
from eqcli.engine.cluster.directives import LOGS, SUBMIT, job_name
from eqcli.engine.cluster.job_script import NEXT_JOB, SCRIPT, Job, job_script
from eqcli.engine.cluster.job_state import State, job_state
from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, write_json

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

RECORD = "submitted.json"
FORMAT = "eqcli-job"
VERSION = 1
SECONDS = 120
"""How long a batch system may take to accept a job."""


@dataclass(frozen=True)
class Submitted:
    """A job that a batch system took.

    Attributes
    ----------
    job
        Its number there.
    command
        What it does, without `eqcli` before it.
    folder
        Where it runs.
    log
        File that it writes, once it runs.
    submitted
        Time, ISO 8601.
    """

    scheduler: str
    job: str
    command: list[str]
    folder: str
    script: str
    log: str
    submitted: str

    def state(self) -> tuple[State, str]:
        """Where it is now, as the batch system says."""
        return job_state(self.scheduler, self.job)


def jobs_folder(output: Path) -> Path:
    """Where the script, the record and the logs of the jobs of an output are: beside it, as it may be a file."""
    return output.with_name(f"{output.name}.jobs")


def read_submitted(output: Path) -> Submitted | None:
    """The last job that was submitted for an output; None where there is none, or it cannot be read."""
    folder = jobs_folder(output)
    known = {entry.name for entry in fields(Submitted)}
    try:
        content: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        found = Submitted(**{key: value for key, value in content.items() if key in known})
    except (OSError, ValueError, TypeError):
        return None
    following = folder / NEXT_JOB
    if following.is_file() and (number := _number(following.read_text(encoding="utf-8"), found.scheduler)):
        return Submitted(**{**asdict(found), "job": number})
    return found


def submit_job(job: Job, cluster: ClusterRecipe, output: Path) -> Submitted:
    """Writes the script of a job beside its output and submits it.

    Raises InputError without the commands of the batch system, where it does not take the job, and where an earlier
    job for the same output has not ended: two would write into each other's files.
    """
    require_commands(cluster)
    earlier = read_submitted(output)
    if earlier is not None and (state := earlier.state())[0] in ("waiting", "running"):
        raise InputError(
            f"job {earlier.job} for this output has not ended ({state[1]})",
            Where(output),
            "Wait for it, or cancel it first.",
        )
    folder = jobs_folder(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NEXT_JOB).unlink(missing_ok=True)
    with atomic_path(folder / SCRIPT) as temporary:
        temporary.write_text(job_script(job, cluster), encoding="utf-8")
    number = _submit(cluster, folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    log = _log(cluster, folder, job, number)
    submitted = Submitted(
        cluster.scheduler, number, list(job.words), str(job.folder), str(folder / SCRIPT), log, now
    )  # fmt: skip
    write_json(folder / RECORD, {"format": FORMAT, "version": VERSION, **asdict(submitted)})
    return submitted


def _submit(cluster: ClusterRecipe, folder: Path) -> str:
    command = [SUBMIT[cluster.scheduler]]
    with (folder / SCRIPT).open("rb") as script:
        try:
            if cluster.scheduler == "lsf":  # bsub reads directives from its standard input alone
                run = subprocess.run(command, stdin=script, cwd=folder, capture_output=True, timeout=SECONDS)
            else:
                run = subprocess.run([*command, SCRIPT], cwd=folder, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{cluster_name(cluster)} does not answer") from error
    said = (run.stdout + run.stderr).decode(errors="replace").strip()
    number = _number(said, cluster.scheduler)
    if run.returncode or number is None:
        raise InputError(
            f"{cluster_name(cluster)} did not take the job: {' '.join(said.split()) or 'it said nothing'}",
            Where(folder / SCRIPT),
            "Compare queue, account, walltime, memory and options of the cluster's file with what it offers.",
        )
    return number


def _number(said: str, scheduler: str) -> str | None:
    """The number of a job in what the command that took it said; that of PBS has the name of its server."""
    found = re.search(r"\d+(\[\])?(\.[\w.-]+)?" if scheduler == "pbs" else r"\d+", said)
    return found.group(0) if found else None


def _log(cluster: ClusterRecipe, folder: Path, job: Job, number: str) -> str:
    if cluster.scheduler == "pbs":
        return str(folder / f"{job_name(job.name)}.o{number.split('.')[0]}")
    return str(folder / LOGS[cluster.scheduler].replace("%j", number).replace("%J", number).replace("$JOB_ID", number))
