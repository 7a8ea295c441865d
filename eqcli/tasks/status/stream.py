"""A request that is done chunk by chunk: what is in its work folder."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from eqcli.errors import EqcliError
from eqcli.locks import is_locked
from eqcli.tasks.status.result import STALE_SECONDS, Status, WorkerStatus
from eqcli.tasks.stream.heartbeat import Beat, read_beats
from eqcli.tasks.stream.work_folder import REQUEST, WorkFolder

ENDING = ".work"


def stream_status(folder: Path) -> Status:
    """Where a request stands, from its work folder."""
    output = folder.with_name(folder.name.removesuffix(ENDING))
    status = Status(output, _task(folder), "stopped", total=_total(folder))
    for path in folder.glob("chunk-*.done"):
        ended = _ended(path)
        status.done += ended.get("items", 0)
        status.failed += ended.get("failed", 0)
    for path in folder.glob("chunk-*.h5"):
        if not path.name.endswith(".frames.h5") and not path.with_suffix(".done").exists():
            done, failed = _under_way(path)
            status.done, status.failed = status.done + done, status.failed + failed
    if is_locked(folder):
        status.state = "running"
        if any(folder.glob("*merged*")):
            status.notes.append("everything is done, and the output is being written")
    else:
        status.notes.append("it stopped; the same command with --resume goes on from here")
    describe_workers(folder, status)
    status.estimate()
    return status


def output_status(output: Path) -> Status:
    """What became of a request whose output is written."""
    from eqcli.io.formats import Format, readable_format
    from eqcli.io.store import DatasetFile
    from eqcli.tasks.stream.merge import failed_table

    status = Status(output, "output", "done")
    if readable_format(output) is Format.DATASET:
        with DatasetFile(output) as file:
            status.done = len(file)
            status.kind = str(file.provenance.get("task") or "output")
    else:
        status.unit = ""
    table = failed_table(output)
    if table.is_file():
        with table.open(encoding="utf-8") as lines:
            status.failed = max(0, sum(1 for _ in lines) - 1)
        status.done += status.failed
        status.facts["failed_ones"] = str(table)
    return status


def _task(folder: Path) -> str:
    try:
        content = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        return str(content["request"]["task"])
    except (OSError, ValueError, KeyError, TypeError):
        return "request"


def _total(folder: Path) -> int | None:
    """The number of items, where it is known without reading the inputs through."""
    from eqcli.tasks.stream.items import open_items

    try:
        return open_items(WorkFolder(folder).request()).total
    except (EqcliError, OSError, ValueError, KeyError, TypeError):
        return None


def _ended(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _under_way(path: Path) -> tuple[int, int]:
    """Items of a chunk that have been committed, and how many of them failed."""
    from eqcli.io.store import DatasetFile

    try:
        with DatasetFile(path) as file:
            keys = file.keys
            return (len(file), int((keys < 0).sum())) if keys is not None else (0, 0)
    except (EqcliError, OSError, ValueError, KeyError):  # it is just being made, or has just gone
        return 0, 0


def describe_workers(folder: Path, status: Status) -> None:
    """Those that work now, by their signs of life; all that ever did where nothing goes on."""
    now = time.time()
    for beat in read_beats(folder):
        silent = max(0.0, now - beat.alive)
        stale = silent > STALE_SECONDS
        if status.state == "running" and stale and beat.chunk is None:
            continue  # it ended its work in good order, in an earlier call
        status.workers.append(
            WorkerStatus(beat.name, beat.device, beat.chunk, beat.items, beat.failed, _rate(beat), silent, stale)
        )
    if status.state == "running":
        rates = [worker.rate for worker in status.workers if worker.rate and not worker.stale]
        status.rate = sum(rates) if rates else None
        if dead := [worker.worker for worker in status.workers if worker.stale]:
            status.notes.append(f"no sign of life for more than {STALE_SECONDS:.0f} s: {', '.join(dead)}")


def _rate(beat: Beat) -> float | None:
    elapsed = beat.alive - beat.started
    return beat.items / elapsed if elapsed > 0 and beat.items else None
