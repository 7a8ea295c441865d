"""Pipelines redo what changed and nothing else, survive kills, and say how each step ended.

The tasks are stand-ins that write what they were given, so that every test knows what was run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from eqcli.errors import ExitCode, Failure, InputError
from eqcli.locks import FolderLock
from eqcli.progress import Silent
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.recipe.steps import RelaxStep
from eqcli.tasks.pipeline import PipelineResult, run_pipeline
from eqcli.tasks.pipeline_call import call
from eqcli.tasks.pipeline_state import PlannedStep, worst

RECIPE = """
task: pipeline
name: p
steps:
  - id: one
    task: train
    with: {recipe: {name: a, data: {train: a.extxyz}, model: {name: mace}}}
  - id: two
    task: train
    with: {recipe: {name: b, data: {train: b.extxyz}, model: {name: mace}}}
  - id: predict
    task: predict
    with: {model: "${one.model}", inputs: [a.extxyz, b.extxyz]}
  - id: relax
    task: relax
    with: {model: "${two.model}", inputs: "${predict.output}", fmax: 0.1}
  - id: evaluate
    task: evaluate
    with: {model: "${two.model}", data: b.extxyz}
"""


@dataclass
class Done:
    """A result of a stand-in."""

    exit_code: ExitCode = ExitCode.OK
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {}


@dataclass
class World:
    """The stand-ins, what they were called with, and how they shall behave."""

    folder: Path
    calls: list[str] = field(default_factory=list)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    behaviour: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def make(self, task: str, outputs: tuple[str, ...]) -> Callable[..., Any]:
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            target = Path(next(a for a in reversed(args) if isinstance(a, Path)))
            folder = target if task in ("train", "evaluate") else target.parent
            self.calls.append(folder.name)
            self.options[folder.name] = {"args": args, **kwargs}
            answer = self.behaviour.get(folder.name, Done)()
            for name in outputs:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(f"{task} {len(self.calls)}", encoding="utf-8")
            return answer

        return stand_in

    def run(self, *changes: str, **options: Any) -> tuple[PipelineResult, list[str]]:
        """Runs the pipeline; gives its result and the steps that were really run."""
        self.calls.clear()
        recipe = load_pipeline(self.folder / "p.yaml", changes)
        result = run_pipeline(recipe.name, plan(recipe), self.folder / "out", **options)
        return result, list(self.calls)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.extxyz").write_text(name, encoding="utf-8")
    (tmp_path / "p.yaml").write_text(RECIPE, encoding="utf-8")
    made = {
        "train": ("model.safetensors", "recipe.yaml"),
        "predict": ("predictions.extxyz",),
        "relax": ("relaxed.extxyz",),
        "evaluate": ("index.html", "report.json"),
    }
    for task, outputs in made.items():
        module = ModuleType(f"eqcli.tasks.{task}")
        setattr(module, task, world.make(task, outputs))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return world


ALL = ["one", "two", "predict", "relax", "evaluate"]


def test_steps_get_files_of_earlier_steps(world: World) -> None:
    result, calls = world.run()
    assert calls == ALL
    out = world.folder / "out"
    model, inputs, output = world.options["relax"]["args"]
    assert model == out / "two" / "model.safetensors"
    assert inputs == [out / "predict" / "predictions.extxyz"]
    assert output == out / "relax" / "relaxed.extxyz"
    assert world.options["relax"]["fmax"] == 0.1
    assert [row["status"] for row in result.rows] == ["done"] * 5
    assert result.exit_code is ExitCode.OK
    assert result.as_dict()["steps"][4]["outputs"]["report"] == str(out / "evaluate" / "index.html")


def test_a_second_run_redoes_nothing(world: World) -> None:
    world.run()
    result, calls = world.run()
    assert calls == []
    assert all(step.unchanged for step in result.steps)


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ("steps.relax.with.fmax=0.2", ["relax"]),
        ("steps.relax.with.fmax=0.1", []),
        ("steps.relax.with.steps=500", []),
        ("steps.predict.with.batch_atoms=7", ["predict", "relax"]),
        ("steps.one.with.recipe.seed=7", ["one", "predict", "relax"]),
        ("steps.two.with.recipe.seed=7", ["two", "relax", "evaluate"]),
        ("steps.two.with.recipe.training.max_epochs=200", []),
    ],
)
def test_a_changed_argument_redoes_its_step_and_dependents(world: World, change: str, redone: list[str]) -> None:
    world.run()
    _, calls = world.run(change)
    assert calls == redone
    assert world.run(change)[1] == []


def test_changed_data_redo_what_reads_them(world: World) -> None:
    world.run()
    (world.folder / "b.extxyz").write_text("new", encoding="utf-8")
    assert world.run()[1] == ["two", "predict", "relax", "evaluate"]


def test_touched_files_and_moved_projects_stay_current(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    (world.folder / "a.extxyz").touch()
    assert world.run()[1] == []
    moved = world.folder.with_name("moved")
    world.folder.rename(moved)
    world.folder = moved
    assert world.run()[1] == []


def test_another_version_redoes_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    monkeypatch.setattr("eqcli.__version__", "99.0")
    assert world.run()[1] == ALL


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("x", encoding="utf-8")])
def test_missing_and_changed_outputs_are_made_again(world: World, harm: Callable[[Path], Any]) -> None:
    world.run()
    harm(world.folder / "out" / "predict" / "predictions.extxyz")
    assert world.run()[1] == ["predict"]


def test_a_training_that_the_system_stopped_goes_on_from_its_checkpoint(world: World) -> None:
    def full() -> Any:
        raise OSError(28, "No space left on device")

    world.behaviour["two"] = full
    with pytest.raises(OSError, match="No space"):
        world.run()
    world.behaviour.clear()
    assert world.run()[1] == ["two", "predict", "relax", "evaluate"]
    assert (world.options["two"]["resume"], world.options["two"]["overwrite"]) == (True, False)


def test_only_one_process_runs_a_pipeline_in_a_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()

    def refuse(lock: FolderLock) -> None:
        raise InputError(f"another process is working in {lock.folder.name}")

    with monkeypatch.context() as other:
        other.setattr(FolderLock, "take", refuse)
        with pytest.raises(InputError, match="another process is working in out"):
            world.run("steps.relax.with.fmax=0.2")
    assert world.calls == []
    assert world.run()[1] == []


def test_force(world: World) -> None:
    world.run()
    assert world.run(force=["predict"])[1] == ["predict"]
    with pytest.raises(InputError, match="no step 'predct'") as caught:
        world.run(force=["predct"])
    assert "predict" in caught.value.hint


def test_partial_and_unconverged_steps_go_on_and_are_remembered(world: World) -> None:
    world.behaviour["predict"] = lambda: Done(ExitCode.PARTIAL, [Failure("frame 3", "bad")])
    world.behaviour["relax"] = lambda: Done(ExitCode.NOT_CONVERGED)
    result, calls = world.run()
    assert calls == ALL
    assert result.exit_code is ExitCode.PARTIAL
    assert [(f.item, f.reason) for f in result.failures] == [("predict: frame 3", "bad")]
    again, calls = world.run()
    assert calls == []
    assert again.exit_code is ExitCode.PARTIAL
    assert [row["status"] for row in again.rows][2:4] == ["partly done, unchanged", "not converged, unchanged"]


def test_a_failed_step_stops_those_that_need_it_alone(world: World) -> None:
    def fail() -> Any:
        raise InputError("this data is wrong", hint="Mend it.")

    world.behaviour["one"] = fail
    result, calls = world.run()
    assert calls == ["one", "two", "evaluate"]
    assert [step.status for step in result.steps] == ["failed", "done", "not run", "not run", "done"]
    assert result.exit_code is ExitCode.BAD_INPUT
    assert "this data is wrong" in result.failures[0].reason
    del world.behaviour["one"]
    result, calls = world.run()
    assert calls == ["one", "predict", "relax"]
    assert world.options["one"]["resume"] is False
    assert result.exit_code is ExitCode.OK


def test_a_step_without_its_output_has_failed(world: World) -> None:
    def vanish() -> Done:
        class Gone(Done):
            @property
            def failures(self) -> list[Failure]:  # type: ignore[override]
                (world.folder / "out" / "predict" / "predictions.extxyz").unlink()
                return []

            @failures.setter
            def failures(self, value: list[Failure]) -> None: ...

        return Gone()

    world.behaviour["predict"] = vanish
    result, calls = world.run()
    assert calls == ["one", "two", "predict", "evaluate"]
    assert "outputs" in result.failures[0].reason


def test_an_interrupted_training_is_resumed_when_nothing_changed(world: World) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    world.behaviour["two"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.run()
    del world.behaviour["two"]
    _, calls = world.run()
    assert calls == ["two", "predict", "relax", "evaluate"]
    assert (world.options["two"]["resume"], world.options["two"]["overwrite"]) == (True, False)


@pytest.mark.parametrize("change", [["steps.two.with.recipe.seed=7"], []])
def test_an_interrupted_training_starts_again_when_it_changed_or_is_forced(world: World, change: list[str]) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    world.behaviour["two"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.run()
    del world.behaviour["two"]
    world.run(*change, force=() if change else ["two"])
    assert (world.options["two"]["resume"], world.options["two"]["overwrite"]) == (False, True)


def test_nothing_foreign_is_touched(world: World) -> None:
    out = world.folder / "out"
    (out / "thing").mkdir(parents=True)
    with pytest.raises(InputError, match="not the folder of a pipeline"):
        world.run()
    (out / "thing").rmdir()
    world.run("~steps.relax")
    (out / "relax").mkdir()
    (out / "relax" / "mine.txt").touch()
    with pytest.raises(InputError, match="not made by this pipeline"):
        world.run()
    with pytest.raises(InputError, match="belongs to the pipeline 'p'"):
        world.run("name=q")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "eqcli-pipeline", "version": 99, "steps": {}}'])
def test_a_damaged_state_is_an_input_error(world: World, text: str) -> None:
    world.run()
    (world.folder / "out" / "pipeline.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not a pipeline state"):
        world.run()


def test_the_worst_code_wins() -> None:
    assert worst([]) is ExitCode.OK
    assert worst([0, 4, 3]) is ExitCode.PARTIAL
    assert worst([3, 2, 5]) is ExitCode.BAD_INPUT


KILLED = """
import sys, time
from pathlib import Path
from types import ModuleType

class Done:
    exit_code, failures = 0, []
    def as_dict(self): return {}
    def summary(self): return []

def train(recipe, folder, *, resume, **options):
    Path(folder).mkdir(parents=True, exist_ok=True)
    if recipe.name == "b" and not resume:
        (Path(folder) / "started").touch()
        time.sleep(60)
    (Path(folder) / "model.safetensors").write_text("model")
    return Done()

module = ModuleType("eqcli.tasks.train")
module.train = train
sys.modules["eqcli.tasks.train"] = module
from eqcli.cli.app import main
main(["run", "p.yaml", "~steps.4", "~steps.3", "~steps.2", "-o", "out", "--json"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_a_killed_pipeline_goes_on_where_it_was(world: World, number: int, code: int) -> None:
    words = [sys.executable, "-c", dedent(KILLED)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen(words, cwd=world.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (world.folder / "out" / "two" / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(number)
    first.communicate(timeout=60)
    assert first.returncode == code
    second = subprocess.run(words, cwd=world.folder, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    steps = json.loads(second.stdout)["steps"]
    assert [(step["id"], step["unchanged"]) for step in steps] == [("one", True), ("two", False)]
    assert "two: resuming train" in second.stderr


def test_a_step_may_move_structures_through_time(tmp_path):
    arguments = RelaxStep(model="m", inputs=("a.h5",), md="nvt", time="2ps", time_step="0.5fs", seed=3).model_dump()
    calls: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eqcli.tasks.move.move", lambda *args, **options: calls.append((args, options)))
        call(PlannedStep("x", "relax", arguments, (), {}), arguments, tmp_path, "cpu", False, Silent())
    (((model, inputs, output, settings), options),) = calls
    assert (model, inputs, output) == (Path("m"), [Path("a.h5")], tmp_path / "relaxed.extxyz")
    assert (settings.ensemble, settings.steps, settings.seed) == ("nvt", 4000, 3)
    assert (options["trajectory"], options["resume"], options["batch_atoms"]) == (None, False, None)


@pytest.mark.parametrize("wrong", [{"md": "nve", "fmax": 0.1}, {"temperature": 400.0}])
def test_a_step_that_relaxes_and_moves_is_refused(wrong):
    with pytest.raises(ValueError, match="belongs to"):
        RelaxStep(model="m", inputs=("a.h5",), **wrong)
