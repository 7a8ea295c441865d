"""`eqcli info` on the screen and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Ended

Run = Callable[..., Ended]


def test_a_recipe_is_described(eqcli: Run, recipe: Path) -> None:
    ended = eqcli("info", "recipe.yaml")
    assert ended.code == 0
    assert "kind                       training recipe" in ended.out
    assert json.loads(eqcli("info", "recipe.yaml", "--json").out)["max_epochs"] == 200


def test_a_pipeline_is_described(eqcli: Run, recipe: Path) -> None:
    recipe.write_text(
        "task: pipeline\nname: p\nsteps:\n"
        "  - {id: a, task: convert, with: {inputs: data.extxyz, output: a.h5}}\n"
        "  - {id: b, task: convert, with: {inputs: '${a.output}', output: b.h5}}\n",
        encoding="utf-8",
    )
    assert "id b, task convert, uses a.output" in eqcli("info", "recipe.yaml").out


def test_malformed_frames_are_listed(eqcli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n1\n\nH 0 0\n", encoding="utf-8")
    ended = eqcli("info", "a.xyz")
    assert ended.code == 3
    assert "frame 1" in ended.err
    assert "malformed            1" in ended.out
    assert len(json.loads(eqcli("info", "a.xyz", "--json").out)["failures"]) == 1


def test_what_cannot_be_read_is_an_error(eqcli: Run, tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_text("1\n\nH 0 0 0\n", encoding="utf-8")
    ended = eqcli("info", "dta.xyz")
    assert ended.code == 2
    assert "Did you mean data.xyz?" in ended.err
