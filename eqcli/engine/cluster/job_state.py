"""What a batch system says of a job."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Literal

State = Literal["waiting", "running", "ended", "unknown"]

SECONDS = 10
"""How long a batch system may take to answer."""

SLURM = {
    "waiting": ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "SUSPENDED", "STOPPED"),
    "running": ("RUNNING", "CONFIGURING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT"),
}
PBS = {"waiting": "QHWSTU", "running": "RBE"}
LSF = {"waiting": ("PEND", "PSUSP", "USUSP", "SSUSP", "WAIT", "PROV"), "running": ("RUN",)}


def job_state(scheduler: str, job: str) -> tuple[State, str]:
    """Where a job is, and what the batch system calls that; `unknown` where it cannot be asked."""
    return ASKED[scheduler](job) if scheduler in ASKED else ("unknown", "")


def _slurm(job: str) -> tuple[State, str]:
    answer = _said(["squeue", "--noheader", f"--jobs={job}", "--states=all", "--format=%T %R"])
    if answer is None:
        answer = _said(["sacct", "--noheader", "--allocations", f"--jobs={job}", "--format=State%30"])
        if answer is None:
            # Slurm forgets jobs some minutes after their end; squeue fails then as where it cannot be reached.
            return ("ended", "") if _said(["scontrol", "ping"]) is not None else ("unknown", "")
    word, _, more = answer.strip().partition(" ")
    return _named(word, SLURM), f"{word.lower()} {more.strip()}".strip()


def _pbs(job: str) -> tuple[State, str]:
    answer = _said(["qstat", "-x", "-f", job]) or _said(["qstat", "-f", job])
    found = re.search(r"job_state = (\w)", answer or "")
    return (_named(found.group(1), PBS), found.group(1)) if found else ("unknown", "")


def _lsf(job: str) -> tuple[State, str]:
    answer = _said(["bjobs", "-noheader", "-o", "stat", job])
    word = (answer or "").strip()
    return (_named(word, LSF), word.lower()) if word else ("unknown", "")


def _sge(job: str) -> tuple[State, str]:
    answer = _said(["qstat"])
    if answer is None:
        return "unknown", ""
    for line in answer.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[0] == job:
            return ("waiting" if "q" in fields[4] else "running"), fields[4]
    return "ended", ""


ASKED: dict[str, Callable[[str], tuple[State, str]]] = {"slurm": _slurm, "pbs": _pbs, "lsf": _lsf, "sge": _sge}


def _named(word: str, table: dict[str, tuple[str, ...]] | dict[str, str]) -> State:
    if word in table["waiting"]:
        return "waiting"
    return "running" if word in table["running"] else "ended"


def _said(command: list[str]) -> str | None:
    """The output of a command; None where it is missing, fails or does not answer."""
    if shutil.which(command[0]) is None:
        return None
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout if run.returncode == 0 and run.stdout.strip() else None
