"""A training run: how far its epochs are, from what it writes anyway."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from eqcli.errors import InputError
from eqcli.locks import is_locked
from eqcli.tasks.status.result import Status

RECIPE, METRICS, RESULT, PROVENANCE, CHECKPOINTS = (
    "recipe.yaml",
    "metrics.csv",
    "result.json",
    "provenance.json",
    "checkpoints",
)
SLACK = 2.0
"""Seconds between files that are written one after the other at the start of a run."""


def training_status(folder: Path) -> Status:
    """Where a training stands. Raises InputError where the recipe of the run cannot be read."""
    section = _training_section(folder / RECIPE)
    status = Status(folder, "training", "stopped", unit="epochs", total=section.get("max_epochs"))
    last, marks = _last_row(folder / METRICS), _marks(folder)
    status.done = int(float(last.get("epoch", 0)))
    step = max([int(float(last.get("step", 0))), *(step for step, _ in marks)])
    status.facts = {"step": step} | _figures(last)
    if (folder / RESULT).is_file() and not is_locked(folder):
        return _ended(folder, status)
    if is_locked(folder):
        status.state = "running"
        _pace(folder, status, last, marks)
    else:
        status.notes.append("it stopped; the same command with --resume goes on from its last checkpoint")
    if (minutes := section.get("max_minutes")) is not None:
        status.notes.append(f"it ends after {minutes:g} minutes of training at the latest")
    return status


def _ended(folder: Path, status: Status) -> Status:
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return status
    status.state, status.done = "done", int(result.get("epochs", status.done))
    status.facts = {"step": result.get("steps"), "best_epoch": result.get("best_epoch"), "model": result.get("model")}
    if status.total is not None and status.done < status.total:
        status.notes.append("it ended before its last epoch, as the recipe wants it (early_stopping, max_minutes)")
    return status


def _training_section(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return dict(content.get("training") or {})
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        from eqcli.errors import Where

        raise InputError("the recipe of this run cannot be read", Where(path)) from error


def _last_row(path: Path) -> dict[str, str]:
    """The last whole line of the table of epochs."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError:
        return {}
    rows = list(csv.DictReader([lines[0], lines[-1]])) if len(lines) > 1 else []
    return {key: value for key, value in rows[0].items() if isinstance(value, str) and value} if rows else {}


def _marks(folder: Path) -> list[tuple[int, float]]:
    """Steps that are known to have been done by certain times: those of checkpoints."""
    found = []
    for path in (folder / CHECKPOINTS).glob("step-*"):
        digits = path.stem.split("-")[-1]
        if digits.isdigit() and (time := _time(path)) is not None:
            found.append((int(digits), time))
    return sorted(found)


def _pace(folder: Path, status: Status, last: dict[str, str], marks: list[tuple[int, float]]) -> None:
    """Epochs a second since this session began, which is when it wrote the recipe."""
    began, written = _time(folder / RECIPE), _time(folder / METRICS)
    if began is None or written is None or written <= began or not status.done:
        return
    before = [step for step, time in marks if time < began]
    first = (_time(folder / PROVENANCE) or 0.0) >= began - SLACK
    points = [(step, time) for step, time in marks if time >= began]
    if before or first:
        points.append((max(before, default=0), began))
    step = int(float(last["step"]))
    points.append((step, written))
    (old, since), (new, until) = min(points), max(points)
    if new > old and until > since and step:
        status.rate = (new - old) / (until - since) * status.done / step
        status.estimate()


def _figures(last: dict[str, str]) -> dict[str, str]:
    return {name: last[name] for name in ("train_loss", "valid_loss") if name in last}


def _time(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
