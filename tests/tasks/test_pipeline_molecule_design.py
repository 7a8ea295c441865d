"""The steps of pipelines that choose among molecules: what they are called with, and a chain of the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup, ExitCode
from eqcli.io import read_structures, write_structures
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.pipeline import run_pipeline
from tests.molecules import embedded, shaken, with_order
from tests.tasks.pipeline_case import World, interrupt

RECIPE = """
task: pipeline
name: p
steps:
  - id: sanitise
    task: sanitise
    with: {inputs: made.sdf, known: known.sdf, n: 3}
  - id: relax
    task: relax-molecules
    with: {inputs: "${sanitise.output}", relaxer: "ase:ase.calculators.emt:EMT", relaxer_arguments: {}, workers: 1}
  - id: rank
    task: rank-molecules
    with:
      inputs: "${relax.output}"
      by: log_p
      best: nearest
      target: 1
      posebusters: false
      earlier: ["${sanitise.dropped}", "${relax.dropped}"]
"""
MADE = {
    "sanitise": ("sanitised.h5", "dropped.csv"),
    "relax_molecules": ("relaxed.h5", "dropped.csv"),
    "rank_molecules": ("index.html", "ranked.sdf", "ranked.csv", "dropped.csv"),
}
STEPS = {"sanitise": "sanitise", "relax_molecules": "relax", "rank_molecules": "rank"}
ALL = list(STEPS)
GFN2 = ["steps.relax.with.relaxer=ase:tblite.ase:TBLite", "steps.relax.with.relaxer_arguments={method: GFN2-xTB}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = [shaken(embedded(smiles, sample=k), k, 0.02) for k, smiles in enumerate(("CO", "C=O", "O", "CF", "OCC"))]
    write_structures(tmp_path / "made.sdf", [*made[:3], with_order(made[4], 0, 3), *made[3:]])
    write_structures(tmp_path / "known.sdf", [embedded("O")])
    (tmp_path / "p.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(folder, MADE)
    world.replace_tasks(STEPS, monkeypatch)
    module = sys.modules["eqcli.tasks.relax_molecules"]
    monkeypatch.setattr(module, "start_over", lambda output: world.calls.update(over={}), raising=False)
    return world


def called(world: World, *changes: str) -> list[str]:
    return [name for name in world.run(*changes)[1] if name in MADE]


def test_each_step_gets_its_arguments_and_files_of_earlier_ones(world: World) -> None:
    assert called(world) == ALL
    out = world.folder / "out"
    sanitise, relax, rank = (world.calls[task] for task in ALL)
    assert sanitise["args"] == ([world.folder / "made.sdf"], out / "sanitise" / "sanitised.h5")
    assert (sanitise["known"], sanitise["n"], sanitise["overwrite"]) == ([world.folder / "known.sdf"], 3, True)
    assert relax["args"] == ([out / "sanitise" / "sanitised.h5"], out / "relax" / "relaxed.h5")
    assert (relax["relaxer"], relax["workers"]) == ("ase:ase.calculators.emt:EMT", 1)
    assert rank["args"] == ([out / "relax" / "relaxed.h5"], out / "rank")
    assert rank["earlier"] == [out / "sanitise" / "dropped.csv", out / "relax" / "dropped.csv"]
    assert (rank["by"], rank["best"], rank["target"], rank["max_strain"]) == ("log_p", "nearest", 1, 5)
    assert called(world) == []


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ("steps.sanitise.with.charged=true", ALL),
        ("steps.relax.with.fmax=0.1", ALL[1:]),
        ("steps.relax.with.relaxer_arguments={asap_cutoff: true}", ALL[1:]),
        ("steps.rank.with.target=2", ALL[2:]),
    ],
)
def test_a_change_redoes_what_depends_on_it(world: World, change: str, redone: list[str]) -> None:
    world.run()
    assert called(world, change) == redone


def test_interrupted_relaxations_go_on_and_changed_ones_start_over(world: World) -> None:
    world.before["relax_molecules"] = interrupt
    with pytest.raises(OSError, match="No space"):
        world.run()
    assert "over" in world.calls
    world.before.clear()
    world.run()
    assert "over" not in world.calls
    world.run("steps.relax.with.fmax=0.1")
    assert "over" in world.calls


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("steps.rank.with.target=null", "give both or neither"),
        ("steps.relax.with.output=relaxed.sdf", "the name of an .h5 file"),
        ("steps.rank.with.best=largest", "highest"),
    ],
)
def test_mistakes_are_found_before_any_step_runs(world: World, change: str, words: str) -> None:
    with pytest.raises(ErrorGroup, match=words):
        world.run(change)
    assert world.calls == {}


def test_arguments_of_a_relaxer_are_for_calculators(world: World) -> None:
    (world.folder / "m.safetensors").touch()
    with pytest.raises(ErrorGroup, match="not of a file"):
        world.run("steps.relax.with.relaxer=m.safetensors", "steps.relax.with.relaxer_arguments={a: 1}")


def test_a_step_that_keeps_nothing_says_what_it_dropped(folder: Path) -> None:
    write_structures(folder / "made.sdf", [embedded("O"), with_order(embedded("OCC"), 0, 3)], overwrite=True)
    recipe = load_pipeline(folder / "p.yaml")
    sanitise, relax, rank = run_pipeline(recipe.name, plan(recipe), folder / "out").steps
    assert (sanitise.status, relax.status, rank.status) == ("failed", "not run", "not run")
    assert "none of 2 structures was kept" in sanitise.message
    assert "1 known" in sanitise.message
    assert "1 invalid" in sanitise.message
    assert str(folder / "out" / "sanitise" / "dropped.csv") in sanitise.message


def test_from_generated_to_ranked_molecules(folder: Path) -> None:
    pytest.importorskip("tblite", reason="tblite relaxes molecules: pip install eqcli[data]")

    def run(*changes: str) -> tuple[list[str], ExitCode]:
        recipe = load_pipeline(folder / "p.yaml", [*GFN2, *changes])
        result = run_pipeline(recipe.name, plan(recipe), folder / "out")
        return [step.id for step in result.steps if not step.unchanged], result.exit_code

    assert run() == (["sanitise", "relax", "rank"], ExitCode.OK)
    ranked = list(read_structures(folder / "out" / "rank" / "ranked.sdf"))
    assert [s.info["smiles"] for s in ranked] == ["CF", "C=O", "CO"]
    page = (folder / "out" / "rank" / "index.html").read_text(encoding="utf-8")
    assert "of 6 molecules" in page
    assert run()[0] == []
    assert run("steps.rank.with.target=-1")[0] == ["rank"]
    assert next(iter(read_structures(folder / "out" / "rank" / "ranked.sdf"))).info["smiles"] == "CO"
