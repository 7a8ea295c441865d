"""Pipelines and docking screens."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from eqcli.errors import InputError, Where
from eqcli.locks import is_locked
from eqcli.tasks.status.result import Status, StepStatus
from eqcli.tasks.status.stream import describe_workers

PIPELINE, SCREEN, PAIRS, PAGE, WORK = "pipeline.json", "screen.json", "results.csv", "index.html", "work"


def pipeline_status(folder: Path) -> Status:
    """The steps of a pipeline that were begun. Raises InputError where the file that tells of them cannot be read."""
    try:
        content: dict[str, Any] = json.loads((folder / PIPELINE).read_text(encoding="utf-8"))
        steps = dict(content["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("this tells nothing of a pipeline", Where(folder / PIPELINE)) from error
    status = Status(folder, "pipeline", "running" if is_locked(folder) else "stopped", unit="steps")
    for name, step in steps.items():
        found = StepStatus(name, step.get("status", ""), step.get("seconds", 0.0), step.get("message", ""))
        status.steps.append(found)
        if found.status == "running":
            found.status = "running" if status.state == "running" else "interrupted"
            continue
        status.done += 1
        status.failed += found.status == "failed"
    if status.state != "running":
        ended = status.steps and all(step.status not in ("interrupted", "failed") for step in status.steps)
        status.state = "done" if ended else "stopped"
        if not ended:
            status.notes.append("the same `eqcli run` goes on from here")
    return status


def screen_status(folder: Path) -> Status:
    """A docking screen, from its table of results."""
    status = Status(folder, "docking screen", "running" if is_locked(folder) else "stopped", unit="pairs")
    seconds = 0.0
    try:
        lines = (folder / PAIRS).read_text(encoding="utf-8").split("\n")[:-1]
    except OSError:
        lines = []
    for row in csv.DictReader(lines):
        status.done += 1
        status.failed += row.get("status") == "failed"
        try:
            seconds += float(row.get("seconds") or 0.0)
        except ValueError:
            continue
    if status.state == "running":
        describe_workers(folder / WORK, status)
        if not status.workers and seconds:
            status.rate = status.done / seconds
    elif (folder / PAGE).is_file() or (folder / "ranked.csv").is_file():
        status.state = "done"
    elif status.state == "stopped":
        status.notes.append("it stopped; the same command with --resume goes on from here")
    return status
