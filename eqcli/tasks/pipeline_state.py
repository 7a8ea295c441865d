"""What a pipeline remembers: the steps that were run, from what, and what they made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import eqcli
from eqcli.engine.guest_name import GuestName, is_guest, version_facts
from eqcli.errors import ExitCode, InputError, Where
from eqcli.files import atomic_path, sha256

STATE_FILE = "pipeline.json"
FORMAT = "eqcli-pipeline"
VERSION = 1
REFERENCE = re.compile(r"\$\{([^${}.]+)\.([^${}.]+)\}")
"""`${step.output}`."""
RUNNING = "running"
"""State of a step that was begun and has not ended: it was interrupted when found later."""
FAILED = "failed"


@dataclass(frozen=True)
class PlannedStep:
    """One step, ready to run.

    Attributes
    ----------
    arguments
        Arguments of the task by name; sections (a recipe, label conventions) are objects.
    files
        Every file that the arguments name; `${step.output}` stands for what an earlier step makes.
    outputs
        What it makes: name -> path inside the step's folder, `.` for the folder itself.
    """

    id: str
    task: str
    arguments: Mapping[str, Any]
    files: tuple[str, ...]
    outputs: Mapping[str, str]

    @property
    def uses(self) -> tuple[str, ...]:
        """The earlier steps whose outputs it takes."""
        matches = (REFERENCE.fullmatch(name) for name in self.files)
        return tuple(dict.fromkeys(match.group(1) for match in matches if match))


@dataclass
class StepState:
    """What is known of a step that was run.

    `hashes` are the SHA-256 of the output files by their path inside the step's folder.
    """

    key: str
    status: str
    exit_code: int = 0
    seconds: float = 0.0
    message: str = ""
    hashes: dict[str, str] = field(default_factory=dict)


class PipelineState:
    """The file `pipeline.json` of a pipeline's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / STATE_FILE
        self.steps: dict[str, StepState] = {}

    @classmethod
    def open(cls, folder: Path, name: str) -> PipelineState:
        """The state of an earlier run, or a new one. Raises InputError for a folder that is something else."""
        state = cls(folder)
        if not state.path.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError(
                    f"this exists and is not the folder of a pipeline (it has no {STATE_FILE})",
                    Where(folder),
                    "Choose another folder with -o.",
                )
            state.write(name)
            return state
        try:
            data = json.loads(state.path.read_text(encoding="utf-8"))
            if data["format"] != FORMAT or data["version"] > VERSION:
                raise ValueError
            state.steps = {key: StepState(**value) for key, value in data["steps"].items()}
        except (ValueError, KeyError, TypeError) as error:
            hint = "Choose another folder with -o, or remove the file to run every step again."
            raise InputError("this is not a pipeline state that this eqcli reads", Where(state.path), hint) from error
        if data["name"] != name:
            message = f"this folder belongs to the pipeline '{data['name']}', not to '{name}'"
            raise InputError(message, Where(folder), "Choose another folder with -o.")
        return state

    def write(self, name: str) -> None:
        """Stores the state, to a temporary name first."""
        steps = {key: asdict(value) for key, value in self.steps.items()}
        data = {"format": FORMAT, "version": VERSION, "eqcli": eqcli.__version__, "name": name, "steps": steps}
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def refuse_foreign_folders(self, steps: Sequence[str]) -> None:
        """Raises InputError where a step would write into something that no step has made."""
        for name in steps:
            folder = self.folder / name
            if name not in self.steps and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
                message = f"this is where the step '{name}' puts its files, and was not made by this pipeline"
                raise InputError(message, Where(folder), "Move it away, or choose another folder with -o.")

    def is_current(self, step: PlannedStep, key: str) -> bool:
        """Whether a step was run with this key and everything that it made is still there, unchanged."""
        known = self.steps.get(step.id)
        if known is None or known.key != key or known.status in (RUNNING, FAILED):
            return False
        return output_hashes(step, self.folder / step.id) == known.hashes


def output_hashes(step: PlannedStep, folder: Path) -> dict[str, str] | None:
    """SHA-256 of the files that a step makes, or None where one is missing."""
    found = {}
    for path in step.outputs.values():
        if path != ".":
            if not (folder / path).is_file():
                return None
            found[path] = sha256(folder / path)
    return found


def step_key(step: PlannedStep, keys: Mapping[str, str]) -> str:
    """What the result of a step depends on: its arguments, the content of its files, the steps that it uses, version.

    A calculator of another package counts with the version of that package.
    `keys` are those of the earlier steps. Folders do not count, so a project that is moved stays current.
    """
    contents: dict[str, Any] = {}
    for role in ("model", "relaxer"):
        model = step.arguments.get(role)
        if isinstance(model, str) and is_guest(model):
            contents[model] = {"calculator": model, **version_facts(GuestName.parse(model))}
    for name in step.files:
        match = REFERENCE.fullmatch(name)
        if match:
            contents[name] = {"step": keys[match.group(1)], "output": match.group(2)}
        elif name not in contents:
            contents[name] = {"name": Path(name).name, "sha256": sha256(name)}
    plain = {"task": step.task, "arguments": dict(step.arguments), "eqcli": eqcli.__version__}
    text = json.dumps(replaced(plain, contents), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def replaced(value: Any, by: Mapping[str, Any]) -> Any:
    """Plain data with every text that `by` knows replaced; sections become plain data."""
    if hasattr(value, "model_dump"):
        return replaced(value.model_dump(mode="json", by_alias=True), by)
    if isinstance(value, dict):
        return {key: replaced(item, by) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, by) for item in value]
    return by.get(value, value) if isinstance(value, str) else value


def with_files(step: PlannedStep, folder: Path, outputs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The arguments of a step with references replaced by the files in the pipeline's folder."""
    files: dict[str, str] = {}
    for name in step.files:
        if match := REFERENCE.fullmatch(name):
            made = outputs[match.group(1)][match.group(2)]
            files[name] = str((folder / match.group(1) / made).absolute())
    given: dict[str, Any] = {}
    for key, value in step.arguments.items():
        new = replaced(value, files)
        given[key] = type(value).model_validate(new) if hasattr(value, "model_dump") else new
    return given


SEVERITY = (
    ExitCode.OK,
    ExitCode.NOT_CONVERGED,
    ExitCode.PARTIAL,
    ExitCode.AUDIT_FAILED,
    ExitCode.BAD_INPUT,
    ExitCode.INTERNAL,
)
"""Exit codes from harmless to bad: a pipeline ends with the worst of its steps."""


def worst(codes: list[int]) -> ExitCode:
    """The worst of some exit codes."""
    return max((ExitCode(code) for code in codes), key=SEVERITY.index, default=ExitCode.OK)
