"""The steps of pipelines that generate crystals and choose among them; the tasks are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup, ExitCode
from eqcli.tasks import stability
from tests.tasks.pipeline_case import World, interrupt

RECIPE = """
task: pipeline
name: p
steps:
  - id: generate
    task: generate
    with: {model: model.safetensors, n: 7}
  - id: screen
    task: screen
    with: {inputs: "${generate.output}", known: known.extxyz, n: 3}
  - id: check
    task: evaluate-crystals
    with:
      generated: "${screen.output}"
      reference: known.extxyz
      training: known.extxyz
      relaxer: ase:ase.calculators.emt:EMT
      hull: known.extxyz
  - id: rank
    task: rank
    with: {inputs: "${check.relaxed}", n: 2}
"""
ALL = ["generate", "screen", "evaluate_crystals", "rank"]
MADE = {
    "generate": ("generated.h5",),
    "screen": ("screened.h5", "dropped.csv"),
    "evaluate_crystals": ("index.html", "report.json", "structures.csv", "stability/relaxed.h5"),
    "rank": ("index.html", "ranked.csv"),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, MADE)
    for name in ("model.safetensors", "known.extxyz"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "p.yaml").write_text(RECIPE, encoding="utf-8")
    steps = {task: "check" if task == "evaluate_crystals" else task for task in MADE}
    world.replace_tasks(steps, monkeypatch)
    return world


def test_each_step_gets_its_arguments_and_files_of_earlier_ones(world: World) -> None:
    result, called = world.run()
    assert called == ALL
    assert result.exit_code is ExitCode.OK
    out, known = world.folder / "out", world.folder / "known.extxyz"
    generate, screen, check, rank = (world.calls[task] for task in ALL)
    assert generate["args"] == (world.folder / "model.safetensors", out / "generate" / "generated.h5")
    assert (generate["n"], generate["resume"], generate["overwrite"]) == (7, False, True)
    assert screen["args"] == ([out / "generate" / "generated.h5"], out / "screen" / "screened.h5")
    assert (screen["known"], screen["n"]) == ([known], 3)
    assert check["args"] == ([out / "screen" / "screened.h5"], known, out / "check")
    assert (check["training"], check["hull"]) == (known, [known])
    assert check["relaxer"] == "ase:ase.calculators.emt:EMT"
    assert rank["args"] == ([out / "check" / "stability" / "relaxed.h5"], out / "rank")
    assert world.run()[1] == []


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ("steps.generate.with.n=8", ALL),
        ("steps.screen.with.n=2", ALL[1:]),
        ("steps.check.with.hull_threshold=0.05", ["evaluate_crystals", "rank"]),
        ("steps.check.with.relaxer=ase:ase.calculators.lj:LennardJones", ["evaluate_crystals", "rank"]),
        ("steps.rank.with.require=[certified]", ["rank"]),
    ],
)
def test_a_change_redoes_what_depends_on_it(world: World, change: str, redone: list[str]) -> None:
    world.run()
    assert world.run(change)[1] == redone


def test_another_version_of_the_relaxer_relaxes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    facts = {"package": "ase", "version": "99"}
    monkeypatch.setattr("eqcli.tasks.pipeline_state.version_facts", lambda name: facts)
    assert world.run()[1] == ["evaluate_crystals", "rank"]


def kept(world: World) -> Path:
    """What a killed run left of its relaxations."""
    folder = world.folder / "out" / "check" / "stability" / "relaxing-0"
    folder.mkdir(parents=True)
    return folder


def test_an_interrupted_generation_goes_on(world: World) -> None:
    world.before["generate"] = interrupt
    with pytest.raises(OSError, match="No space"):
        world.run()
    world.before.clear()
    assert world.run()[1] == ALL
    assert world.calls["generate"]["resume"] is True


def test_interrupted_relaxations_go_on_and_changed_ones_start_over(world: World) -> None:
    world.before["evaluate_crystals"] = interrupt
    with pytest.raises(OSError, match="No space"):
        world.run()
    folder = kept(world)
    world.before["evaluate_crystals"] = lambda: seen.append(folder.is_dir())
    seen: list[bool] = []
    world.run()
    world.run(force=["check"])
    assert seen == [True, False]


def test_starting_over_leaves_nothing_of_the_relaxations(tmp_path: Path) -> None:
    (tmp_path / "relaxing-0").mkdir()
    for name in (stability.RELAXED, stability.TABLE, "mine.txt"):
        (tmp_path / name).write_text("", encoding="utf-8")
    stability.start_over(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("missing", ["relaxer", "hull"])
def test_a_relaxer_needs_a_hull_and_a_hull_a_relaxer(world: World, missing: str) -> None:
    path = world.folder / "p.yaml"
    lines = [line for line in RECIPE.splitlines() if f"      {missing}:" not in line]
    path.write_text("\n".join(lines).replace("check.relaxed", "check.table"), encoding="utf-8")
    with pytest.raises(ErrorGroup, match="give both or neither"):
        world.run()


def test_without_a_relaxer_there_are_no_relaxed_crystals_to_refer_to(world: World) -> None:
    path = world.folder / "p.yaml"
    lines = [line for line in RECIPE.splitlines() if "relaxer:" not in line and "hull:" not in line]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ErrorGroup, match="makes no 'relaxed'"):
        world.run()
