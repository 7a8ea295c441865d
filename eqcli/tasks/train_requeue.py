"""Putting a job back into the queue of its batch system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from eqcli.progress import Reporter

VARIABLE = "EQCLI_REQUEUE"


def wants_requeue(asked: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a Slurm job that is to be put back when its time is nearly over."""
    return "SLURM_JOB_ID" in environment and (asked or environment.get(VARIABLE, "") not in ("", "0"))


def job_number(environment: Mapping[str, str] = os.environ) -> str:
    """The job as `scontrol` names it; a task of a job array as array and number."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment["SLURM_JOB_ID"]


def requeue(report: Reporter, environment: Mapping[str, str] = os.environ) -> bool:
    """Asks Slurm to run this job again; whether it agreed."""
    job = job_number(environment)
    try:
        found = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False)
        fault = found.stderr.strip() or found.stdout.strip() if found.returncode else ""
        agreed = found.returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        fault, agreed = str(error), False
    if agreed:
        report.message(f"job {job} is back in the queue")
    else:
        report.warning(f"job {job} could not be put back into the queue: {fault or 'scontrol gave no reason'}")
    return agreed
