"""Running the command line inside the test process, with stand-ins for the tasks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from eqcli.cli.app import main
from eqcli.errors import ExitCode, Failure

GOOD = "name: run\ndata: {train: data.extxyz}\nmodel: {name: mace}\n"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class StandIn:
    """A result as every task returns one."""

    failures: list[Failure] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK
    value: float = 1.0
    is_first: bool = True
    """Of a training: whether this process speaks for all of them."""

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "exit_code": int(self.exit_code)}

    def summary(self) -> list[tuple[str, str]]:
        return [("value", str(self.value))]


@pytest.fixture
def eqcli(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `eqcli` with some words in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(words)
        out, err = capfd.readouterr()
        return Ended(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Puts a stand-in behind a task; gives the list of its calls."""

    def replace(name: str, answer: Callable[..., Any] | Any = None) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            return answer(*args, **kwargs) if callable(answer) else (answer or StandIn())

        module = ModuleType(f"eqcli.tasks.{name}")
        setattr(module, name, stand_in)
        monkeypatch.setitem(sys.modules, f"eqcli.tasks.{name}", module)
        return calls

    return replace


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe that is right, with an empty data file."""
    (tmp_path / "data.extxyz").touch()
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path
