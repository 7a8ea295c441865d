"""`eqcli evaluate` on complexes: which options belong, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eqcli.cli.app import app
from tests.tasks.evaluate_docking_case import fails, method, off_by, write_complexes


@pytest.fixture
def complexes(tmp_path: Path) -> Path:
    return write_complexes(tmp_path / "complexes")


def _methods(monkeypatch: pytest.MonkeyPatch, *methods: Any) -> None:
    monkeypatch.setattr("eqcli.tasks.evaluate_docking_rivals.docking_methods", lambda *args, **more: list(methods))


def test_the_word_physics_stands_for_no_model(complexes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _methods(monkeypatch, method("good", off_by(1.0)))
    arguments = ["evaluate", "physics", str(complexes), "--no-posebusters", "--no-pages", "--no-baselines", "--limit"]
    done = CliRunner().invoke(app, [*arguments, "2", "--json", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["counts"]["complexes"] == 2
    assert found["tables"][0]["rows"][0]["figures"]["rmsd_below_2"]["value"] == 1.0


def test_a_failing_pair_makes_the_exit_code_3(complexes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _methods(monkeypatch, method("good", off_by(1.0)), method("broken", fails))
    arguments = ["evaluate", "physics", str(complexes), "--no-posebusters", "--no-pages", "--limit", "1"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out")])
    assert done.exit_code == 3, done.output
    assert "it broke" in done.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--audit", "equivariance"], "--audit"),
        (["--training", "x.sdf"], "--training"),
        (["--valences", "published"], "--valences"),
        (["--energy-unit", "kcal/mol"], "options of labels"),
    ],
)
def test_options_of_other_evaluations_are_refused(complexes: Path, options: list[str], named: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", "physics", str(complexes), *options])
    assert done.exit_code == 2
    assert named in done.output


def test_options_of_docking_are_refused_for_other_models(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"no model")
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "m.safetensors"), "--pocket", "reference"])
    assert done.exit_code == 2
    assert "--pocket" in done.output
    assert "docking" in done.output


def test_without_complexes_it_says_what_to_name() -> None:
    done = CliRunner().invoke(app, ["evaluate", "physics"])
    assert done.exit_code == 2
    assert "no complexes were given" in done.output
