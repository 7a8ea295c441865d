"""Relaxation from files to a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eqcli.errors import ExitCode, InputError
from eqcli.io import read_structures
from eqcli.io.store import DatasetFile
from eqcli.progress import Silent
from eqcli.tasks import snapshot_clock
from eqcli.tasks.relax import relax
from tests.toy import ToyPotential
from tests.toy_model import register_toy, save_toy

POSCAR = """simple
1.0
2.3 0.0 0.0
0.0 2.3 0.0
0.0 0.0 2.35
C
4
{mode}
0.0 0.0 0.0{flags}
0.5 0.5 0.02
0.5 0.01 0.5
0.0 0.5 0.5
"""


def dimer(distance: float, element: str = "C") -> str:
    return f'2\npbc="F F F"\n{element} 0.0 0.0 0.0\nO {distance} 0.0 0.0\n'


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a model whose close-packed crystals have a minimum, and inputs."""
    register_toy(monkeypatch)
    original = ToyPotential.__init__

    def narrow(self, *args, **kwargs):
        original(self, *args, **kwargs)
        with torch.no_grad():
            self.width.fill_(4.0)

    monkeypatch.setattr(ToyPotential, "__init__", narrow)
    save_toy(tmp_path / "model.safetensors")
    (tmp_path / "POSCAR").write_text(POSCAR.format(mode="Direct", flags=""))
    (tmp_path / "pair.xyz").write_text(dimer(1.75))
    (tmp_path / "pairs.xyz").write_text(dimer(1.75) + dimer(1.5) + dimer(1.65))
    return tmp_path


def run(here: Path, inputs: list[str], output: str | None, *, trajectory: str | None = None, **options):
    out = here / output if output else None
    path = here / trajectory if trajectory else None
    return relax(here / "model.safetensors", [here / name for name in inputs], out, trajectory=path, **options)


@pytest.mark.parametrize("output", ["relaxed.cif", "CONTCAR", "relaxed.extxyz", "relaxed.h5"])
def test_a_crystal_with_its_cell(here, output):
    result = run(here, ["POSCAR"], output, cell="full", optimizer="lbfgs")
    assert result.exit_code == ExitCode.OK
    (row,) = result.rows
    assert row.converged
    assert row.fmax < 0.01
    assert row.smax < 1e-4
    assert row.energy < row.energy_start
    assert row.space_group_after == "Fm-3m (225)"
    (end,) = read_structures(here / output)
    assert end.volume == pytest.approx(row.volume, rel=1e-4)
    assert end.pbc.all()


def test_labels_and_state_are_in_the_output(here):
    result = run(here, ["POSCAR"], "relaxed.extxyz", cell="full", optimizer="lbfgs")
    (end,) = read_structures(here / "relaxed.extxyz")
    assert end.energy == pytest.approx(result.rows[0].energy, abs=1e-7)
    assert np.linalg.norm(end.forces, axis=1).max() == pytest.approx(result.rows[0].fmax, abs=1e-7)
    assert np.abs(end.stress).max() < 1e-4
    assert end.info["converged"] is True
    assert end.info["relax_steps"] == result.rows[0].steps
    assert end.info["fmax"] == pytest.approx(result.rows[0].fmax, abs=1e-7)


def test_several_structures_into_one_file(here):
    result = run(here, ["pairs.xyz", "pair.xyz"], "out.extxyz")
    items = [*(f"{here / 'pairs.xyz'}" for _ in range(3)), f"{here / 'pair.xyz'}"]
    assert all(row.item.startswith(item) for row, item in zip(result.rows, items, strict=True))
    assert result.exit_code == ExitCode.OK
    found = list(read_structures(here / "out.extxyz"))
    lengths = [np.linalg.norm(one.positions[1] - one.positions[0]) for one in found]
    np.testing.assert_allclose(lengths, lengths[0], atol=2e-3)


def test_a_format_for_one_structure_is_refused_before_any_work(here):
    with pytest.raises(InputError, match="holds one structure"):
        run(here, ["pairs.xyz"], "out.vasp")


def test_not_converged_is_in_the_result_and_the_output(here):
    result = run(here, ["pairs.xyz"], "out.extxyz", steps=1, fmax=1e-6)
    assert result.exit_code == ExitCode.NOT_CONVERGED
    assert result.not_converged == 3
    assert [one.info["converged"] for one in read_structures(here / "out.extxyz")] == [False] * 3
    assert dict(result.summary())["converged"] == "0 of 3"


def test_failures_are_listed_and_the_others_done(here):
    (here / "mixed.xyz").write_text(dimer(1.7) + dimer(1.7, element="Fe") + dimer(1.5))
    result = run(here, ["mixed.xyz"], "out.extxyz")
    assert result.exit_code == ExitCode.PARTIAL
    assert len(result.rows) == 2
    (failure,) = result.failures
    assert "Fe" in failure.reason
    assert failure.where.frame == 1
    assert len(list(read_structures(here / "out.extxyz"))) == 2


def test_failure_outranks_not_converged(here):
    (here / "mixed.xyz").write_text(dimer(1.7) + dimer(1.7, element="Fe"))
    assert run(here, ["mixed.xyz"], None, steps=0).exit_code == ExitCode.PARTIAL


def test_when_everything_fails_there_is_no_output(here):
    result = run(here, ["pairs.xyz"], "out.extxyz", trajectory="t.h5", cell="full")
    assert result.exit_code == ExitCode.PARTIAL
    assert ["not periodic" in failure.reason for failure in result.failures] == [True] * 3
    assert result.output is None
    assert result.trajectory is None
    assert not (here / "out.extxyz").exists()
    assert not (here / "t.h5").exists()


@pytest.mark.parametrize("trajectory", ["t.h5", "t.extxyz"])
def test_the_trajectory_holds_every_step(here, trajectory):
    result = run(here, ["pairs.xyz"], "out.extxyz", trajectory=trajectory)
    frames = list(read_structures(here / trajectory))
    expected = [(k, step) for k, row in enumerate(result.rows) for step in range(row.steps + 1)]
    assert [(f.info["relax_item"], f.info["relax_steps"]) for f in frames] == expected
    assert frames[-1].info["converged"] is True
    for frame in frames:
        assert frame.energy is not None
    *_, last = read_structures(here / "out.extxyz")
    np.testing.assert_allclose(last.positions, frames[-1].positions, atol=1e-7)


class Stop(Silent):
    """Interrupts when so many steps were reported."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, n=1, **figures):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def often(monkeypatch) -> None:
    """A snapshot at every step."""
    monkeypatch.setattr(snapshot_clock, "SHORTEST", 0.0)
    monkeypatch.setattr(snapshot_clock, "SHARE", 1e9)


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("after", [1, 5, 23])
def test_an_interrupted_run_goes_on_to_the_same_end(here, often, one_by_one, after):
    options = {"one_by_one": one_by_one, "batch_atoms": 4}
    whole = run(here, ["pairs.xyz"], "whole.h5", trajectory="all.h5", **options)
    with pytest.raises(KeyboardInterrupt):
        run(here, ["pairs.xyz"], "out.h5", trajectory="t.h5", report=Stop(after), **options)
    assert not (here / "out.h5").exists()
    if after > 5:
        with pytest.raises(InputError, match="unfinished"):
            run(here, ["pairs.xyz"], "out.h5", trajectory="t.h5", **options)
    found = run(here, ["pairs.xyz"], "out.h5", trajectory="t.h5", resume=True, **options)
    assert found.rows == whole.rows
    assert_same_file(here / "out.h5", here / "whole.h5")
    assert_same_file(here / "t.h5", here / "all.h5")
    assert not (here / "out.h5.work").exists()


def assert_same_file(one: Path, other: Path) -> None:
    """The same frames, to the last bit."""
    with DatasetFile(one) as a, DatasetFile(other) as b:
        found, expected = a.raw(0, len(a)), b.raw(0, len(b))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


def test_other_options_do_not_go_on_with_the_same_work(here, often):
    with pytest.raises(KeyboardInterrupt):
        run(here, ["pairs.xyz"], "out.h5", report=Stop(9))
    with pytest.raises(InputError, match="relax"):
        run(here, ["pairs.xyz"], "out.h5", fmax=0.02, resume=True)


@pytest.mark.parametrize(
    ("options", "said"), [({"cell": "full"}, "periodic"), ({"keep_symmetry": True}, "space group")]
)
def test_what_the_only_structure_does_not_allow_is_bad_input(here, options, said):
    with pytest.raises(InputError, match=said) as caught:
        run(here, ["pair.xyz"], "out.extxyz", trajectory="t.h5", **options)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.where.file == here / "pair.xyz"
    assert not (here / "t.h5").exists()


def test_fixed_atoms_of_a_poscar_stay(here):
    text = POSCAR.format(mode="Selective dynamics\nDirect", flags=" F F F")
    lines = text.splitlines()
    lines[-3:] = [line + " T T T" for line in lines[-3:]]
    (here / "fixed.vasp").write_text("\n".join(lines) + "\n")
    (before,) = read_structures(here / "fixed.vasp")
    assert before.fixed.tolist() == [True, False, False, False]
    run(here, ["fixed.vasp"], "out.extxyz")
    (after,) = read_structures(here / "out.extxyz")
    np.testing.assert_allclose(after.positions[0], before.positions[0], atol=1e-7)
    assert np.abs(after.positions - before.positions).max() > 0.01


def test_keeping_the_symmetry(here):
    result = run(here, ["POSCAR"], None, cell="full", keep_symmetry=True, optimizer="lbfgs")
    (row,) = result.rows
    assert row.space_group_before is not None
    assert row.converged


def test_two_runs_write_the_same(here):
    run(here, ["POSCAR"], "a.vasp", cell="full", steps=10)
    run(here, ["POSCAR"], "b.vasp", cell="full", steps=10)
    assert (here / "a.vasp").read_bytes() == (here / "b.vasp").read_bytes()


@pytest.mark.parametrize(
    ("output", "options", "said"),
    [
        ("pair.xyz", {"overwrite": True}, "cannot be the output too"),
        ("out.docx", {}, "unknown file ending"),
        ("out.extxyz", {"trajectory": "out.extxyz"}, "same file"),
        ("out.extxyz", {"trajectory": "t.vasp"}, "holds one structure"),
        ("out.extxyz", {"trajectory": "POSCAR"}, "exists already"),
        ("out.extxyz", {"fmax": 0.0}, "fmax"),
        ("out.extxyz", {"cell": "round"}, "round"),
        ("out.extxyz", {"precision": "double"}, "double"),
    ],
)
def test_requests_that_cannot_be_met_do_nothing(here, output, options, said):
    before = {path: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(InputError, match=said) as caught:
        run(here, ["pair.xyz"], output, **options)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_the_result_is_plain_data(here):
    result = run(here, ["POSCAR"], "out.cif", cell="full", optimizer="lbfgs")
    data = json.loads(json.dumps(result.as_dict()))
    assert data["exit_code"] == 0
    assert data["precision"] == "float64"
    assert data["structures"][0]["converged"] is True
    rows = dict(result.summary())
    assert rows["converged"] == "1 of 1"
    assert "eV/Å" in rows["largest force"]
    assert rows["space group"].endswith("Fm-3m (225)")
