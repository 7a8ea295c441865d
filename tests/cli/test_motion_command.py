"""`eqcli relax --md`: which options reach the task, and which combinations are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_commands import Run, Task


def test_options_become_settings(eqcli: Run, task: Task) -> None:
    calls, relaxed = task("move"), task("relax")
    words = ("--md", "npt", "--temperature", "250", "--time", "2ps", "--time-step", "0.5fs", "--every", "20")
    more = ("--friction", "0.02", "--seed", "7", "--pressure", "3", "--cell", "full", "--resume", "--batch-atoms", "99")
    assert eqcli("relax", "m.safetensors", "a/POSCAR", "-o", "x/last.h5", *words, *more).code == 0
    ((args, kwargs),) = calls
    *files, settings = args
    assert files == [Path("m.safetensors"), [Path("a/POSCAR")], Path("x/last.h5")]
    assert (settings.ensemble, settings.steps, settings.time_step, settings.every) == ("npt", 4000, 0.5, 20)
    assert (settings.temperature, settings.friction, settings.seed) == (250, 0.02, 7)
    assert (settings.pressure, settings.cell, settings.thermostat) == (3, "full", "langevin")
    assert kwargs["trajectory"] == Path("x/last-trajectory.h5")
    assert (kwargs["resume"], kwargs["batch_atoms"], kwargs["workers"]) == (True, 99, "auto")
    assert not relaxed


def test_files_have_names_by_default(eqcli: Run, task: Task) -> None:
    calls = task("move")
    assert eqcli("relax", "m", "some/crystal.cif", "--md", "nve", "--steps", "10").code == 0
    assert eqcli("relax", "m", "a.cif", "b.cif", "--md", "nve", "--steps", "10", "--trajectory", "t.h5").code == 0
    assert [args[2] for args, _ in calls] == [Path("crystal-md.extxyz"), Path("md.extxyz")]
    assert [kwargs["trajectory"] for _, kwargs in calls] == [Path("crystal-md-trajectory.h5"), Path("t.h5")]
    assert calls[0][0][3].steps == 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--md", "nve", "--time", "1ps", "--fmax", "0.1"), "--fmax belongs to relaxations"),
        (("--md", "nve", "--time", "1ps", "--keep-symmetry"), "--keep-symmetry belongs to relaxations"),
        (("--md", "nve", "--time", "1ps", "--one-by-one"), "--one-by-one belongs to relaxations"),
        (("--temperature", "300"), "--temperature belongs to dynamics"),
        (("--time-step", "1fs"), "--time-step belongs to dynamics"),
        (("--md", "nve"), "a time or a number of steps"),
        (("--md", "nve", "--time", "1ps", "--steps", "3"), "not both"),
        (("--md", "nvt", "--time", "1ps", "--time-step", "3fs"), "no multiple"),
        (("--md", "nvt", "--time", "1ps", "--cell", "full"), "does not move"),
        (("--md", "nve", "--time", "1ps", "--thermostat", "langevin"), "no thermostat"),
        (("--md", "nph", "--time", "1ps"), "nph"),
    ],
)
def test_bad_combinations_start_nothing(eqcli: Run, task: Task, words: tuple[str, ...], said: str) -> None:
    calls = [task("move"), task("relax")]
    ended = eqcli("relax", "m", "a.cif", *words)
    assert ended.code == 2
    assert said in ended.err
    assert calls == [[], []]


@pytest.mark.parametrize(("words", "expected"), [((), "auto"), (("auto",), "auto"), (("1",), 1), (("3",), 3)])
def test_workers_are_a_number_or_auto(eqcli: Run, task: Task, words: tuple[str, ...], expected: int | str) -> None:
    calls = [task("predict"), task("relax")]
    given = ("--workers", *words) if words else ()
    assert eqcli("predict", "m", "a.cif", "-o", "o.h5", *given).code == 0
    assert eqcli("relax", "m", "a.cif", *given).code == 0
    assert [kwargs["workers"] for ((_, kwargs),) in calls] == [expected, expected]


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5", "²"])
def test_other_numbers_of_workers_are_refused(eqcli: Run, task: Task, word: str) -> None:
    calls = task("relax")
    ended = eqcli("relax", "m", "a.cif", "--workers", word)
    assert ended.code == 2
    assert "--workers" in ended.err
    assert not calls
