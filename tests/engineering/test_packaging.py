"""What is installed and shipped: pins, data files of the wheel, versions that must agree, recipes that load."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import eqcli

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")
)
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


def _stand_in(path: Path) -> str:
    molecules = "family: molecules" in path.read_text("utf-8")
    return "data/small_molecules/train.sdf" if molecules else "data/intermetallics/train.extxyz"


NEEDS_DATA = {
    **{
        path.name: ["data.train=data/ethanol/train.extxyz", "data.test=data/ethanol/test.extxyz"]
        for path in RECIPES
        if path.name.endswith("-rmd17.yaml")
    },
    "mace-mlearn.yaml": ["data.train=data/diamond/train.extxyz"],
    "egnn-qm9.yaml": ["data.train=data/ethanol/train.extxyz"],
    **{
        path.name: [f"data.train={_stand_in(path)}"]
        for path in RECIPES
        if path.parent.name == "generators" and not path.name.endswith(("intermetallics.yaml", "small-molecules.yaml"))
    },
    **{path.name: ["data.train=data"] for path in RECIPES if path.parent.name == "docking"},
    "pare-net-published.yaml": ["data.train=data", "data.valid=data"],
    "dock-library.yaml": ["vars.complexes=data", "vars.receptor=README.md", "vars.library=README.md"],
}
"""Recipes whose data are not shipped, and overrides that stand in for the user's."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> set[str]:
    project = PYPROJECT["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return {canonical(re.split(r"[<>=!~ ]", line)[0]) for line in lines if not line.startswith("eqcli[")}


def test_every_requirement_is_pinned() -> None:
    assert requirements() - {canonical(name) for name in PINS} == set()


def test_pins_name_exact_public_versions() -> None:
    for name, version in PINS.items():
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), f"{name}=={version}"
        assert canonical(name) != "eqcli"


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == eqcli.__version__
    assert citation["license"] == PYPROJECT["project"]["license"] == "MIT"


def test_the_wheel_carries_every_recipe_and_data_file() -> None:
    globs = [glob for globs in PYPROJECT["tool"]["setuptools"]["data-files"].values() for glob in globs]
    carried = {path for glob in globs for path in ROOT.glob(glob)}
    shipped = {path for path in [*RECIPES, *(ROOT / "data").glob("*/*")] if path.suffix not in {".py", ".pyc"}}
    assert shipped - carried == set()


def test_data_files_keep_the_layout_that_recipes_rely_on() -> None:
    for target, globs in PYPROJECT["tool"]["setuptools"]["data-files"].items():
        assert {f"share/eqcli/{Path(glob).parent.as_posix()}" for glob in globs} == {target}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_shipped_recipes_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.recipe.load import load_recipe

    monkeypatch.chdir(ROOT)
    recipe = load_recipe(path, NEEDS_DATA.get(path.name, []))
    assert (recipe.scheduler if recipe.task == "cluster" else recipe.name) == path.stem


def test_makefile_has_the_two_commands_and_ci_calls_the_readmes() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {"demo", "test", "lint", "docs", "peers", "clean"} <= set(re.findall(r"^([a-z]+):", makefile, re.M))
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text("utf-8")
    assert "make test" in (ROOT / "README.md").read_text("utf-8")


def test_hooks_are_local() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for repo in config["repos"] for hook in repo["hooks"]} == {"system"}
