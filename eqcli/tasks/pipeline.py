"""Run a pipeline: steps that use each other's results, of which a second run redoes only what changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.engine.provenance import made_by
from eqcli.errors import EqcliError, ErrorGroup, ExitCode, Failure, InputError
from eqcli.locks import FolderLock
from eqcli.names import did_you_mean
from eqcli.progress import Reporter, Silent
from eqcli.tasks.pipeline_call import RESUMABLE, call
from eqcli.tasks.pipeline_state import (
    FAILED,
    RUNNING,
    PipelineState,
    PlannedStep,
    StepState,
    output_hashes,
    step_key,
    with_files,
    worst,
)

STATUS = {
    ExitCode.OK: "done",
    ExitCode.PARTIAL: "partly done",
    ExitCode.NOT_CONVERGED: "not converged",
    ExitCode.AUDIT_FAILED: "audit failed",
}
SKIPPED = "not run"


@dataclass
class StepOutcome:
    """How one step ended.

    Attributes
    ----------
    status
        `done`, `partly done`, `not converged`, `audit failed`, `failed` or `not run`.
    unchanged
        Whether the result of an earlier run stands.
    seconds
        Time of the run that made the result.
    outputs
        What it made: name -> path.
    """

    id: str
    task: str
    status: str
    unchanged: bool = False
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0
    message: str = ""
    outputs: dict[str, Path] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "task": self.task,
            "status": self.status,
            "unchanged": self.unchanged,
            "exit_code": int(self.exit_code),
            "seconds": self.seconds,
            "message": self.message or None,
            "outputs": {name: str(path) for name, path in self.outputs.items()},
            "result": self.figures,
        }


@dataclass
class PipelineResult:
    """How a pipeline ended: its steps in order."""

    name: str
    output: Path
    steps: list[StepOutcome]
    seconds: float

    @property
    def failures(self) -> list[Failure]:
        """What failed in the steps that were run now."""
        rows = [Failure(f"step {s.id}", s.message) for s in self.steps if s.message and s.exit_code]
        return rows + [Failure(f"{s.id}: {f.item}", f.reason, f.where) for s in self.steps for f in s.failures]

    @property
    def exit_code(self) -> ExitCode:
        """The worst of the steps."""
        return worst([int(step.exit_code) for step in self.steps])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table of steps."""
        return [
            {
                "step": step.id,
                "task": step.task,
                "status": f"{step.status}, unchanged" if step.unchanged else step.status,
                "seconds": round(step.seconds, 1),
                "output": ", ".join(str(path) for path in step.outputs.values() if path.is_file()),
            }
            for step in self.steps
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "output": str(self.output),
            "steps": [step.as_dict() for step in self.steps],
            "seconds": self.seconds,
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        redone = sum(not step.unchanged and step.status != SKIPPED for step in self.steps)
        return [
            ("pipeline", self.name),
            ("folder", str(self.output)),
            ("steps", f"{len(self.steps)}, {redone} run now, {sum(s.unchanged for s in self.steps)} unchanged"),
            ("time", f"{self.seconds:.1f} s"),
        ]


def run_pipeline(
    name: str,
    steps: Sequence[PlannedStep],
    output: str | Path,
    *,
    device: str = "auto",
    force: Sequence[str] = (),
    report: Reporter | None = None,
) -> PipelineResult:
    """Runs the steps in order, each into a folder of its name inside `output`.

    A step whose arguments, input files and earlier steps are as they were, and
    whose outputs are still there unchanged, is not run again; nor are steps that
    need one that failed. A training that was interrupted,
    by a full disk for instance, goes on from its checkpoint.

    Parameters
    ----------
    steps
        As :func:`eqcli.recipe.plan.plan` makes them.
    force
        Names of steps to run even if nothing changed; those that use them follow only if need be.

    Raises
    ------
    InputError
        The folder is no pipeline's, or another process works in it; something else is where a step's folder
        must be; or `force` names no step.
    """
    began = time.monotonic()
    known = [step.id for step in steps]
    if unknown := [step for step in force if step not in known]:
        raise InputError(f"there is no step '{unknown[0]}' to force", hint=did_you_mean(unknown[0], known, "steps"))
    folder = Path(output)
    PipelineState.open(folder, name)
    with FolderLock(folder):
        # Read again: another process may have worked here until now.
        state = PipelineState.open(folder, name)
        state.refuse_foreign_folders(known)
        run = _Run(name, state, device, report or Silent())
        outcomes = [run.step(step, forced=step.id in force) for step in steps]
    return PipelineResult(name, folder, outcomes, time.monotonic() - began)


class _Run:
    """One pass over the steps."""

    def __init__(self, name: str, state: PipelineState, device: str, report: Reporter) -> None:
        self.name = name
        self.state = state
        self.device = device
        self.report = report
        self.keys: dict[str, str] = {}
        self.made: dict[str, Mapping[str, str]] = {}

    def step(self, step: PlannedStep, *, forced: bool) -> StepOutcome:
        """Brings one step up to date."""
        if missing := [name for name in step.uses if name not in self.made]:
            message = f"needs what step '{missing[0]}' did not make"
            self.report.warning(f"{step.id}: not run, {message}")
            return StepOutcome(step.id, step.task, SKIPPED, exit_code=ExitCode.PARTIAL, message=message)
        key = self.keys[step.id] = step_key(step, self.keys)
        if not forced and self.state.is_current(step, key):
            return self._unchanged(step)
        known = self.state.steps.get(step.id)
        interrupted = known is not None and known.status == RUNNING and known.key == key
        resume = step.task in RESUMABLE and interrupted and not forced
        self._remember(step, StepState(key, RUNNING))
        self.report.message(f"{step.id}: {'resuming' if resume else 'running'} {step.task}")
        return self._run(step, key, resume)

    def _run(self, step: PlannedStep, key: str, resume: bool) -> StepOutcome:
        began = time.monotonic()
        outcome = StepOutcome(step.id, step.task, FAILED, exit_code=ExitCode.BAD_INPUT)
        try:
            arguments = with_files(step, self.state.folder, self.made)
            with made_by(
                {"pipeline": self.name, "step": step.id, "task": step.task, "arguments": _plain(step.arguments)}
            ):
                result = call(step, arguments, self.state.folder / step.id, self.device, resume, self.report)
        except EqcliError as error:
            outcome.exit_code, outcome.message = error.exit_code, _one_line(error)
        except Exception as error:
            # Not the step's fault: what it has done so far counts, as after a kill.
            self._remember(step, StepState(key, RUNNING, message=f"{type(error).__name__}: {error}"))
            raise
        else:
            outcome.exit_code, outcome.failures = ExitCode(result.exit_code), list(result.failures)
            outcome.figures = result.as_dict()
        outcome.seconds = time.monotonic() - began
        hashes = output_hashes(step, self.state.folder / step.id) if not outcome.message else None
        if hashes is None:
            outcome.message = outcome.message or "it did not make all of its outputs"
            outcome.exit_code = outcome.exit_code or ExitCode.BAD_INPUT
        else:
            outcome.status = STATUS.get(outcome.exit_code, FAILED)
            self._made(step, outcome)
        code, seconds = int(outcome.exit_code), outcome.seconds
        self._remember(step, StepState(key, outcome.status, code, seconds, outcome.message, hashes or {}))
        return outcome

    def _unchanged(self, step: PlannedStep) -> StepOutcome:
        known = self.state.steps[step.id]
        self.report.message(f"{step.id}: unchanged")
        code = ExitCode(known.exit_code)
        outcome = StepOutcome(step.id, step.task, known.status, True, code, known.seconds)
        self._made(step, outcome)
        return outcome

    def _made(self, step: PlannedStep, outcome: StepOutcome) -> None:
        self.made[step.id] = step.outputs
        outcome.outputs = {name: self.state.folder / step.id / path for name, path in step.outputs.items()}

    def _remember(self, step: PlannedStep, state: StepState) -> None:
        self.state.steps[step.id] = state
        self.state.write(self.name)


def _plain(value: Any) -> Any:
    """Arguments of a step as JSON has them; sections are those of a recipe."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_none=True)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _one_line(error: EqcliError) -> str:
    errors = error.errors if isinstance(error, ErrorGroup) else [error]
    return "; ".join(str(single).replace("\n  ", " ") for single in errors)
