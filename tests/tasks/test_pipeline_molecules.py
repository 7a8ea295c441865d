"""The step of a pipeline that evaluates molecules; the task is a stand-in."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eqcli.errors import ExitCode, Failure
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.recipe.steps import ARGUMENTS, outputs
from eqcli.tasks.pipeline import run_pipeline

RECIPE = """
task: pipeline
name: p
steps:
  - id: check
    task: evaluate-molecules
    with: {generated: made.sdf, reference: test.sdf, training: train.sdf, bonds: own, limit: 5}
"""


@dataclass
class Done:
    exit_code: ExitCode = ExitCode.OK
    failures: list[Failure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {}


def test_arguments_arrive_and_outputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("made.sdf", "test.sdf", "train.sdf"):
        (tmp_path / name).touch()
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    calls: list[tuple[Any, ...]] = []
    folder = tmp_path / "out" / "check"

    def stand_in(*args: Any, **options: Any) -> Done:
        calls.append((args, options))
        for name in ("index.html", "report.json", "molecules.csv"):
            (folder / name).write_text(name, encoding="utf-8")
        return Done()

    module = ModuleType("eqcli.tasks.evaluate_molecules")
    module.evaluate_molecules = stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    recipe = load_pipeline(tmp_path / "recipe.yaml")
    result = run_pipeline(recipe.name, plan(recipe), tmp_path / "out")
    assert result.exit_code is ExitCode.OK
    (((generated, reference, output), options),) = calls
    assert [path.name for path in (*generated, reference, options["training"])] == ["made.sdf", "test.sdf", "train.sdf"]
    assert output == folder
    assert (options["bonds"], options["limit"], options["valences"], options["overwrite"]) == ("own", 5, None, True)


def test_its_table_can_be_referred_to() -> None:
    made = outputs("evaluate-molecules", ARGUMENTS["evaluate-molecules"].model_construct())
    assert made == {"report": "index.html", "figures": "report.json", "table": "molecules.csv", "output": "."}
