"""Prediction from files to a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.files import sha256
from eqcli.io import DatasetFile, read_structures
from eqcli.io.conventions import LabelConvention
from eqcli.tasks.predict import predict
from tests.toy_model import register_toy, save_toy

WATER = """
     eqcli test

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
    0.9600    0.0000    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.2400    0.9300    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
M  END
$$$$
"""

CRYSTAL = """data_co
_cell_length_a 3.0
_cell_length_b 3.0
_cell_length_c 3.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 C 0.0 0.0 0.0
O1 O 0.5 0.5 0.5
"""


def frames(count: int, element: str = "C", first: int = 0) -> str:
    """Dimers of growing length with labels."""
    text = ""
    for k in range(first, first + count):
        text += (
            "2\nProperties=species:S:1:pos:R:3:forces:R:3 "
            f'energy={-1.0 - k} config_type=dimer pbc="F F F"\n'
            f"{element} 0.0 0.0 0.0 0.1 0.0 0.0\nO {1.2 + 0.05 * k} 0.0 0.0 -0.1 0.0 0.0\n"
        )
    return text


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a model and inputs of several formats."""
    register_toy(monkeypatch)
    save_toy(tmp_path / "model.safetensors")
    (tmp_path / "water.sdf").write_text("water" + WATER)
    (tmp_path / "crystal.cif").write_text(CRYSTAL)
    (tmp_path / "traj.extxyz").write_text(frames(5))
    return tmp_path


class Listener:
    """Remembers what a task reports."""

    def __init__(self) -> None:
        self.done = 0
        self.open = 0
        self.messages: list[str] = []

    def message(self, text):
        self.messages.append(text)

    warning = message

    def start(self, label, total, unit="it"):
        self.open += 1

    def advance(self, n=1, **figures):
        self.done += n

    def finish(self):
        self.open -= 1


def run(here: Path, inputs: list[str], output: str | None, **options):
    out = here / output if output else None
    return predict(here / "model.safetensors", [here / name for name in inputs], out, **options)


@pytest.mark.parametrize("output", ["out.extxyz", "out.h5"])
def test_mixed_inputs_into_one_file(here, output):
    result = run(here, ["water.sdf", "crystal.cif", "traj.extxyz"], output)
    assert (result.structures, result.atoms, result.failures) == (7, 15, [])
    assert result.exit_code == ExitCode.OK
    found = list(read_structures(here / output))
    assert [len(one) for one in found] == [3, 2, 2, 2, 2, 2, 2]
    for one in found:
        assert one.energy is not None
        assert one.forces is not None
        assert one.arrays["atomic_energies"].sum() == pytest.approx(one.energy, abs=1e-6)
    assert [one.stress is not None for one in found] == [False, True, *[False] * 5]
    last = found[-1]
    assert last.info["REF_energy"] == -5.0
    np.testing.assert_allclose(last.arrays["REF_forces"], [[0.1, 0, 0], [-0.1, 0, 0]])
    assert last.info["config_type"] == "dimer"
    assert "REF_energy" not in found[0].info


def test_a_table(here):
    result = run(here, ["water.sdf", "traj.extxyz"], "out.csv")
    lines = (here / "out.csv").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert len(lines) == 1 + result.structures == 7
    assert "energy" in lines[0]
    places = [[Path(line.split(",")[0]).name, line.split(",")[1]] for line in lines[1:]]
    assert places == [["water.sdf", "0"], *(["traj.extxyz", str(k)] for k in range(5))]


def test_the_output_says_where_it_comes_from(here):
    run(here, ["water.sdf"], "out.h5")
    with DatasetFile(here / "out.h5") as file:
        stored = file.provenance
    assert stored["model"]["sha256"] == sha256(here / "model.safetensors")
    assert stored["model"]["precision"] == "float64"
    assert stored["packages"]["torch"]
    assert stored["eqcli"]


def test_precision_on_request(here):
    exact = run(here, ["traj.extxyz"], "a.extxyz")
    rough = run(here, ["traj.extxyz"], "b.extxyz", precision="float32")
    assert (exact.precision, rough.precision) == ("float64", "float32")
    a, b = (next(iter(read_structures(here / name))) for name in ("a.extxyz", "b.extxyz"))
    assert a.energy != b.energy
    assert a.energy == pytest.approx(b.energy, abs=1e-4)


def test_stress_off(here):
    run(here, ["crystal.cif"], "out.extxyz", stress=False)
    assert next(iter(read_structures(here / "out.extxyz"))).stress is None


def test_label_conventions_reach_the_reference_values(here):
    labels = LabelConvention(energy_unit="Hartree", length_unit="Angstrom")
    run(here, ["traj.extxyz"], "out.extxyz", labels=labels)
    first = next(iter(read_structures(here / "out.extxyz")))
    assert first.info["REF_energy"] == pytest.approx(-27.211386245988)


def test_failures_are_listed_and_the_others_done(here):
    good, bad = frames(1), frames(1, element="Fe", first=1)
    (here / "mixed.extxyz").write_text(good + bad + frames(1, first=2))
    listener = Listener()
    result = run(here, ["mixed.extxyz", "water.sdf"], "out.extxyz", report=listener)
    assert result.structures == 3
    assert result.exit_code == ExitCode.PARTIAL
    (failure,) = result.failures
    assert (failure.where.file, failure.where.frame) == (here / "mixed.extxyz", 1)
    assert "Fe" in failure.reason
    assert len(list(read_structures(here / "out.extxyz"))) == 3
    assert (listener.done, listener.open) == (3, 0)


def test_a_malformed_frame_is_a_failure_too(here):
    (here / "broken.extxyz").write_text(frames(1) + "2\n\nC 0.0 0.0 zero\nO 1.0 0.0 0.0\n" + frames(1))
    result = run(here, ["broken.extxyz"], "out.extxyz")
    assert result.structures == 2
    assert len(result.failures) == 1
    assert result.failures[0].where.line is not None


def test_when_everything_fails_there_is_no_output(here):
    (here / "iron.extxyz").write_text(frames(2, element="Fe"))
    result = run(here, ["iron.extxyz"], "out.extxyz")
    assert result.exit_code == ExitCode.PARTIAL
    assert result.output is None
    assert len(result.failures) == 2
    assert not (here / "out.extxyz").exists()


def test_without_an_output_there_are_figures(here):
    before = set(here.iterdir())
    result = run(here, ["crystal.cif", "traj.extxyz"], None)
    assert set(here.iterdir()) == before
    assert result.structures == 6
    assert result.largest_force > 0
    low, high = result.energy_range
    assert low < high < 0


def test_nothing_is_overwritten_unasked(here):
    (here / "out.extxyz").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        run(here, ["water.sdf"], "out.extxyz")
    assert (here / "out.extxyz").read_text() == "precious"
    run(here, ["water.sdf"], "out.extxyz", overwrite=True)
    assert len(list(read_structures(here / "out.extxyz"))) == 1


@pytest.mark.parametrize(
    ("inputs", "output", "options", "said"),
    [
        (["traj.extxyz"], "traj.extxyz", {"overwrite": True}, "cannot be the output too"),
        (["missing.xyz"], "out.extxyz", {}, "no such file"),
        (["model.safetensors"], "out.extxyz", {}, "unknown file ending"),
        (["traj.extxyz", "missing.xyz"], "out.extxyz", {}, "no such file"),
        ([], "out.extxyz", {}, "no structure file"),
        (["traj.extxyz"], "out.docx", {}, "unknown file ending"),
        (["traj.extxyz"], "out.traj", {}, "not written"),
        (["traj.extxyz"], "out.extxyz", {"precision": "float16"}, "float16"),
        (["traj.extxyz"], "out.extxyz", {"device": "abacus"}, "abacus"),
        (["traj.extxyz"], "out.extxyz", {"batch_atoms": 0}, "at least one atom"),
    ],
)
def test_requests_that_cannot_be_met_do_nothing(here, inputs, output, options, said):
    before = {path: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(InputError, match=said) as caught:
        run(here, inputs, output, **options)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_an_interrupted_prediction_leaves_no_half_file(here, monkeypatch):
    class Stop(Listener):
        def advance(self, n=1, **figures):
            raise KeyboardInterrupt

    before = set(here.iterdir())
    with pytest.raises(KeyboardInterrupt):
        run(here, ["traj.extxyz"], "out.extxyz", report=Stop())
    assert set(here.iterdir()) == before


def test_structures_stream_from_file_to_file(here, monkeypatch):
    waiting = peak = 0

    def counted(path, *args, **kwargs):
        nonlocal waiting, peak
        for structure in read_structures(path, *args, **kwargs):
            waiting += 1
            peak = max(peak, waiting)
            yield structure

    class Taken(Listener):
        def advance(self, n=1, **figures):
            nonlocal waiting
            waiting -= n

    monkeypatch.setattr("eqcli.io.read_structures", counted)
    (here / "long.extxyz").write_text(frames(40))
    result = run(here, ["long.extxyz"], "out.extxyz", batch_atoms=8, report=Taken())
    assert result.structures == 40
    assert peak <= 6


def test_the_result_is_plain_data(here):
    (here / "mixed.extxyz").write_text(frames(1) + frames(1, element="Fe"))
    result = run(here, ["mixed.extxyz"], "out.extxyz")
    data = json.loads(json.dumps(result.as_dict()))
    assert data["structures"] == 1
    assert data["exit_code"] == 3
    assert data["failures"][0]["frame"] == 1
    assert data["atoms_per_second"] > 0
    rows = dict(result.summary())
    assert rows["structures"] == "1"
    assert rows["failed"] == "1"
    assert "atoms/s" in rows["throughput"]
    assert str(here / "out.extxyz") in rows["output"]
