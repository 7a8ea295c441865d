"""Which kind of work a path belongs to, and how it stands."""

from __future__ import annotations

from pathlib import Path

from eqcli.engine.cluster.submission import read_submitted
from eqcli.errors import InputError, Where
from eqcli.tasks.status import others, stream, training
from eqcli.tasks.status.result import JobStatus, Status, duration


def status(path: str | Path) -> Status:
    """The standing of a training run, a pipeline, an output or its work folder, or a docking screen.

    Nothing is written, and nothing that others write is disturbed. Raises InputError where nothing is known of `path`.
    """
    given = Path(path)
    output = _output(given)
    job = _job(output)
    found = _standing(output)
    if found is None and job is not None:
        found = Status(output, "job", "unknown", unit="")
    if found is None:
        _refuse(given)
    assert found is not None
    found.job = job
    if job is not None and found.state in ("stopped", "unknown"):
        if job.state == "waiting":
            going = ["its job is in the queue and goes on from here"] if found.state == "stopped" else []
            found.notes = [*going, *found.notes[1:]]
            found.state = "waiting"
        elif job.state == "running":
            found.notes = ["its job runs and has not begun to work, or works on another machine", *found.notes[1:]]
            found.state = "running"
    return found


def _output(path: Path) -> Path:
    """What the work is for, whichever of its files was named."""
    for ending in (stream.ENDING, ".jobs"):
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending))
    return path


def _standing(output: Path) -> Status | None:
    work = output.with_name(output.name + stream.ENDING)
    if work.is_dir() and any(work.iterdir()):
        return stream.stream_status(work)
    if (output / others.PIPELINE).is_file():
        return _with_step(others.pipeline_status(output))
    if (output / training.RECIPE).is_file():
        return training.training_status(output)
    if (output / others.SCREEN).is_file():
        return others.screen_status(output)
    return stream.output_status(output) if output.is_file() else None


def _with_step(pipeline: Status) -> Status:
    """A pipeline with a note on how far the step is that runs now."""
    for step in pipeline.steps:
        if step.status != "running":
            continue
        folder = pipeline.path / step.step
        for place in (folder, *folder.glob(f"*{stream.ENDING}")):
            found = _standing(_output(place))
            if found is not None and found.state == "running":
                pipeline.notes.append(f"{step.step}: {_in_words(found)}")
    return pipeline


def _in_words(found: Status) -> str:
    share = f"{found.done} of {found.total} {found.unit}" if found.total else f"{found.done} {found.unit}"
    return share if found.left is None else f"{share}, about {duration(found.left)} left"


def _job(output: Path) -> JobStatus | None:
    submitted = read_submitted(output)
    if submitted is None:
        return None
    state, said = submitted.state()
    return JobStatus(submitted.job, submitted.scheduler, state, said, submitted.log)


def _refuse(path: Path) -> None:
    hint = "Name the folder of a training, pipeline or screen, or an output that is written or being written."
    if not path.exists():
        raise InputError("there is nothing of this name, and no work for it", Where(path), hint)
    raise InputError("nothing in this folder tells of work", Where(path), hint)
