"""Dynamics from files to a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.store import DatasetFile
from eqcli.tasks import snapshot_clock
from eqcli.tasks.motion_request import motion_settings
from eqcli.tasks.move import move
from eqcli.units import BOLTZMANN
from tests.listener import Listener
from tests.tasks.test_relax import Stop, assert_same_file
from tests.toy_model import register_toy, save_toy

CRYSTAL = """simple
1.0
4.2 0.0 0.0
0.0 4.2 0.0
0.0 0.0 4.2
C
8
Direct
0.0 0.0 0.0
0.5 0.0 0.0
0.0 0.5 0.0
0.0 0.0 0.5
0.5 0.5 0.0
0.5 0.0 0.5
0.0 0.5 0.5
0.5 0.5 0.5
"""


def molecule(seed: int, element: str = "C") -> str:
    """A triangle a little off its distances."""
    rng = np.random.default_rng(seed)
    rows = np.array([[0.0, 0, 0], [1.6, 0, 0], [0.8, 1.4, 0]]) + 0.02 * rng.normal(size=(3, 3))
    atoms = zip([element, "O", "C"], rows, strict=True)
    return '3\npbc="F F F"\n' + "".join(f"{name} {x} {y} {z}\n" for name, (x, y, z) in atoms)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    register_toy(monkeypatch)
    save_toy(tmp_path / "model.safetensors")
    (tmp_path / "one.xyz").write_text(molecule(0))
    (tmp_path / "many.xyz").write_text("".join(molecule(seed) for seed in range(5)))
    (tmp_path / "POSCAR").write_text(CRYSTAL)
    return tmp_path


@pytest.fixture
def often(monkeypatch) -> None:
    """A snapshot at every step."""
    monkeypatch.setattr(snapshot_clock, "SHORTEST", 0.0)
    monkeypatch.setattr(snapshot_clock, "SHARE", 1e9)


def run(here: Path, inputs: list[str], output: str | None, md: str = "nve", trajectory: str | None = None, **options):
    own = ("resume", "report", "batch_atoms", "overwrite")
    others = {name: options.pop(name) for name in own if name in options}
    settings = motion_settings(md, **({"time_step": "0.5fs", "steps": 12, "every": 4} | options))
    return move(
        here / "model.safetensors",
        [here / name for name in inputs],
        here / output if output else None,
        settings,
        trajectory=here / trajectory if trajectory else None,
        **others,
    )


def test_constant_energy(here):
    result = run(here, ["many.xyz"], "out.h5", trajectory="t.h5", steps=100, every=20)
    assert result.exit_code == ExitCode.OK
    assert [row.steps for row in result.rows] == [100] * 5
    assert all(abs(row.drift) < 1e-2 for row in result.rows)
    frames = list(read_structures(here / "t.h5"))
    assert [(f.info["item"], f.info["step"]) for f in frames] == [(k, s) for k in range(5) for s in range(0, 101, 20)]
    assert frames[0].info["temperature"] == pytest.approx(300.0)
    last = list(read_structures(here / "out.h5"))
    np.testing.assert_array_equal(last[4].positions, frames[-1].positions)
    np.testing.assert_array_equal(last[4].arrays["velocities"], frames[-1].arrays["velocities"])
    assert last[0].info["md_time"] == 50.0


def test_the_mean_temperature_is_that_of_the_frames(here):
    result = run(here, ["one.xyz"], None, "nvt", trajectory="t.h5", steps=60, every=1, temperature=500.0)
    warm = [frame.info["temperature"] for frame in read_structures(here / "t.h5")][1:]
    assert result.rows[0].temperature == pytest.approx(np.mean(warm))
    assert result.rows[0].temperature_std == pytest.approx(np.std(warm))


def test_the_drift_is_the_slope_of_the_energy(here):
    result = run(here, ["one.xyz"], None, "nve", trajectory="t.h5", steps=80, every=1, time_step="2fs")
    frames = list(read_structures(here / "t.h5"))[1:]
    # Three atoms without net momentum have six degrees of freedom.
    energies = [frame.energy + 0.5 * 6 * BOLTZMANN * frame.info["temperature"] for frame in frames]
    slope = np.polyfit([frame.info["md_time"] / 1000 for frame in frames], energies, 1)[0]
    assert result.rows[0].drift == pytest.approx(slope / 3, rel=1e-6)


def test_constant_pressure(here):
    result = run(here, ["POSCAR"], "out.h5", "npt", temperature=300.0, pressure=1.0, cell="full", steps=20)
    (row,) = result.rows
    assert row.volume > 0
    assert row.pressure is not None
    (end,) = read_structures(here / "out.h5")
    assert not np.allclose(end.cell, np.eye(3) * 4.2)
    assert dict(result.summary())["mean volume"].endswith("Å^3")


@pytest.mark.parametrize("output", ["out.h5", "out.extxyz"])
def test_the_output_goes_on_where_it_ended(here, output):
    run(here, ["one.xyz"], "whole.h5", steps=20)
    run(here, ["one.xyz"], output, steps=10)
    run(here, [output], "second.h5", steps=10)
    (whole,), (second,) = read_structures(here / "whole.h5"), read_structures(here / "second.h5")
    np.testing.assert_allclose(second.positions, whole.positions, atol=1e-6)
    np.testing.assert_allclose(second.arrays["velocities"], whole.arrays["velocities"], atol=1e-6)


def test_langevin_dynamics_in_two_runs_are_those_of_one_to_the_last_bit(here):
    hot = {"temperature": 400.0, "friction": 0.1}
    run(here, ["many.xyz"], "whole.h5", "nvt", "all.h5", steps=24, **hot)
    run(here, ["many.xyz"], "first.h5", "nvt", "t1.h5", steps=10, **hot)
    run(here, ["first.h5"], "second.h5", "nvt", "t2.h5", steps=14, **hot)
    whole, second = list(read_structures(here / "whole.h5")), list(read_structures(here / "second.h5"))
    for one, other in zip(whole, second, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.arrays["velocities"], other.arrays["velocities"])
        assert one.energy == other.energy
        assert (other.info["md_step"], other.info["md_time"]) == (24, 12.0)
    frames = [frame for frame in read_structures(here / "t2.h5") if frame.info["item"] == 0]
    assert [(frame.info["step"], frame.info["md_time"]) for frame in frames] == [
        (10, 5.0),
        (14, 7.0),
        (18, 9.0),
        (22, 11.0),
    ]


@pytest.mark.parametrize(
    ("md", "options"),
    [
        ("nvt", {"temperature": 400.0, "friction": 10.0}),
        ("nvt", {"temperature": 400.0, "thermostat": "nose-hoover", "steps": 1}),
        ("npt", {"temperature": 400.0, "friction": 10.0}),
    ],
)
def test_no_random_number_is_used_twice(here, md, options):
    """The same start with another count of steps meets other noise, and with the same count the same."""
    run(here, ["POSCAR"], "start.h5", "nve", steps=1)
    (start,) = read_structures(here / "start.h5")
    ends = []
    for name, count in (("a", 0), ("b", 7), ("c", 7)):
        write_structures(here / f"{name}.h5", [replace(start, info={"md_step": count})])
        run(here, [f"{name}.h5"], f"{name}-end.h5", md, **({"steps": 3} | options))
        ends += read_structures(here / f"{name}-end.h5")
    np.testing.assert_array_equal(ends[1].positions, ends[2].positions)
    assert np.abs(ends[0].positions - ends[1].positions).max() > 1e-8
    if md == "npt":
        assert np.abs(ends[0].cell - ends[1].cell).max() > 1e-8
    assert [end.info["md_step"] - options.get("steps", 3) for end in ends] == [0, 7, 7]


@pytest.mark.parametrize("steps", [-1, 2.5, "many", 2**32 - 5])
def test_steps_that_cannot_have_been_taken_are_refused(here, steps):
    (given,) = read_structures(here / "one.xyz")
    write_structures(here / "odd.h5", [replace(given, info={"md_step": steps})])
    with pytest.raises(InputError, match="steps"):
        run(here, ["odd.h5"], "out.h5")
    assert not (here / "out.h5.work").exists()


def test_frames_with_and_without_earlier_steps_go_together(here):
    given = list(read_structures(here / "many.xyz"))
    write_structures(here / "mixed.h5", [replace(given[0], info={"md_step": 5}), *given[1:]])
    run(here, ["mixed.h5"], "out.h5", "nvt")
    assert [end.info["md_step"] for end in read_structures(here / "out.h5")] == [17, 12, 12, 12, 12]


@pytest.mark.parametrize(
    ("md", "options"),
    [
        ("nve", {}),
        ("nvt", {"temperature": 400.0}),
        ("nvt", {"temperature": 400.0, "thermostat": "nose-hoover"}),
        ("npt", {"temperature": 400.0}),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_end(here, often, md, options):
    inputs = ["many.xyz"] if md != "npt" else ["POSCAR", "POSCAR"]
    options = options | {"batch_atoms": 9}
    whole = run(here, inputs, "whole.h5", md, "all.h5", **options)
    for after in (7, 9, 4):
        with pytest.raises(KeyboardInterrupt):
            run(here, inputs, "out.h5", md, "t.h5", report=Stop(after), resume=True, **options)
    found = run(here, inputs, "out.h5", md, "t.h5", resume=True, **options)
    assert found.rows == whole.rows
    assert_same_file(here / "out.h5", here / "whole.h5")
    assert_same_file(here / "t.h5", here / "all.h5")
    with DatasetFile(here / "t.h5") as frames:
        steps = [(frame.info["item"], frame.info["step"]) for frame in frames]
    assert steps == [(item, step) for item in range(len(found.rows)) for step in (0, 4, 8, 12)]


def test_seeds_differ_and_companions_do_not_matter(here):
    run(here, ["many.xyz"], "a.h5", "nvt", seed=1)
    run(here, ["many.xyz"], "b.h5", "nvt", seed=1, batch_atoms=3)
    run(here, ["many.xyz"], "c.h5", "nvt", seed=2)
    a, b, c = ([s.positions for s in read_structures(here / name)] for name in ("a.h5", "b.h5", "c.h5"))
    np.testing.assert_allclose(a, b, atol=1e-10)
    assert np.abs(np.array(a) - c).max() > 1e-4
    assert np.abs(a[0] - a[1]).max() > 1e-3


def test_failures_are_listed_and_the_others_done(here):
    (here / "mixed.xyz").write_text(molecule(0) + molecule(1, element="Fe") + molecule(2))
    result = run(here, ["mixed.xyz"], "out.h5")
    assert result.exit_code == ExitCode.PARTIAL
    (failure,) = result.failures
    assert "Fe" in failure.reason
    assert len(result.rows) == 2
    assert len(list(read_structures(here / "out.h5"))) == 2


def test_long_steps_with_hydrogen_are_warned_of(here):
    (here / "hydrogen.xyz").write_text(molecule(0) + molecule(1, element="H"))
    listener = Listener()
    run(here, ["hydrogen.xyz"], None, time_step="0.5fs", report=listener)
    assert not listener.warnings
    run(here, ["hydrogen.xyz"], None, time_step="1fs", report=listener)
    assert ["hydrogen" in text for text in listener.warnings] == [True]


def test_a_molecule_has_no_pressure(here):
    with pytest.raises(InputError, match="not periodic") as caught:
        run(here, ["one.xyz"], "out.h5", "npt", temperature=300.0)
    assert caught.value.where.file == here / "one.xyz"
    assert not (here / "out.h5.work").exists()


def test_the_result_is_plain_data(here):
    data = json.loads(json.dumps(run(here, ["many.xyz"], "out.h5").as_dict()))
    assert data["settings"]["ensemble"] == "nve"
    assert len(data["structures"]) == data["moved"] == 5
    assert data["structures"][0]["pressure"] is None


@pytest.mark.parametrize(
    ("md", "options", "said"),
    [
        ("nve", {"steps": None}, "a time or a number of steps"),
        ("nve", {"time": "1ps"}, "not both"),
        ("nve", {"steps": None, "time": "1.7fs"}, "no multiple"),
        ("nve", {"steps": None, "time": "10"}, "with its unit"),
        ("nve", {"time_step": "fast"}, "with its unit"),
        ("nve", {"thermostat": "langevin"}, "no thermostat"),
        ("nvt", {"thermostat": "nose-hoover", "friction": 0.1}, "no friction"),
        ("nvt", {"cell": "full"}, "does not move"),
        ("nvt", {"pressure": 1.0}, "pressure"),
        ("nvt", {"temperature": -3.0}, "temperature"),
        ("nph", {}, "nph"),
    ],
)
def test_what_contradicts_itself_is_refused(md, options, said):
    with pytest.raises(InputError, match=said):
        motion_settings(md, **({"steps": 10} | options))


def test_times_have_units():
    assert motion_settings("nve", time="10ps").steps == 10_000
    assert motion_settings("nve", time="0.01ns", time_step="0.5fs").steps == 20_000
    assert motion_settings("nve", time="5000 fs", time_step="2fs").steps == 2_500
