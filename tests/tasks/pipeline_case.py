"""Pipelines whose tasks are stand-ins that write what a task of their name makes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eqcli.errors import ExitCode, Failure
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.pipeline import PipelineResult, run_pipeline


@dataclass
class Done:
    exit_code: ExitCode = ExitCode.OK
    failures: list[Failure] = field(default_factory=list)
    output: str = "written"

    def as_dict(self) -> dict[str, Any]:
        return {}


@dataclass
class World:
    """The stand-ins, the files that they make, and what they were called with."""

    folder: Path
    made: Mapping[str, tuple[str, ...]]
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)

    def stand_in(self, task: str, step: str) -> Callable[..., Done]:
        def run(*args: Any, **kwargs: Any) -> Done:
            self.calls[task] = {"args": args, **kwargs}
            self.before.get(task, lambda: None)()
            for name in self.made[task]:
                path = self.folder / "out" / step / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{task} {kwargs.get('n')}", encoding="utf-8")
            return Done()

        return run

    def run(self, *changes: str, **options: Any) -> tuple[PipelineResult, list[str]]:
        self.calls.clear()
        recipe = load_pipeline(self.folder / "p.yaml", changes)
        result = run_pipeline(recipe.name, plan(recipe), self.folder / "out", **options)
        return result, list(self.calls)

    def replace_tasks(self, steps: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts stand-ins in the place of the tasks, which are made by the steps of these names."""
        for task, step in steps.items():
            module = ModuleType(f"eqcli.tasks.{task}")
            setattr(module, task, self.stand_in(task, step))
            monkeypatch.setitem(sys.modules, module.__name__, module)


def interrupt() -> None:
    raise OSError(28, "No space left on device")
