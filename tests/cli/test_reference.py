"""The reference pages name every command, option and exit code that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from eqcli.cli.app import app
from eqcli.errors import ExitCode

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def _commands(command: Any, name: str = "eqcli") -> list[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    return [(name, command)] + [pair for key, value in below.items() for pair in _commands(value, f"{name} {key}")]


COMMANDS = _commands(typer.main.get_command(app))


def test_every_command_and_option_is_in_the_reference() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for name, command in COMMANDS:
        assert name in page or name == "eqcli recipe"
        for option in (
            o for p in command.params if p.param_type_name == "option" for o in (*p.opts, *p.secondary_opts)
        ):
            assert f"`{option}`" in page or f"{option}`" in page, f"{name} {option}"


def test_every_option_in_the_reference_exists() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    known = {o for _, command in COMMANDS for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= known


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_has_help_and_examples(name: str, command: Any) -> None:
    assert command.help
    assert "Examples:" in (command.epilog or "")
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_every_exit_code_is_in_the_reference() -> None:
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {code.value} | `{code.name}` |" in page
