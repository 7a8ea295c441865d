"""What does not fit into the format of an output, and what would be lost in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ExitCode, Failure
from eqcli.io import Structure, read_structures, write_structures
from eqcli.tasks.convert import convert
from eqcli.tasks.fitting import fitting
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from tests.listener import Listener
from tests.toy_model import register_toy, save_toy

PAIR = np.array([[0.0, 0, 0], [1.2, 0.1, 0]])
MOLECULE = Structure(np.array([6, 8]), PAIR)
BOXED = Structure(np.array([6, 8]), PAIR, np.eye(3) * 20)
CRYSTAL = Structure(np.array([6, 8]), PAIR * 1.5, np.eye(3) * 3.2, np.array([True] * 3))


def fits(output: str | None, *structures: Structure) -> tuple[int, list[Failure], list[str]]:
    failures: list[Failure] = []
    listener = Listener()
    return len(list(fitting(output, structures, failures.append, listener))), failures, listener.warnings


@pytest.mark.parametrize("output", ["x.cif", "POSCAR"])
def test_crystal_formats_refuse_structures_without_a_cell_one_by_one(output: str) -> None:
    count, failures, warnings = fits(output, MOLECULE, CRYSTAL, MOLECULE)
    assert (count, len(failures), warnings) == (1, 2, [])
    assert "needs a cell" in failures[0].reason


@pytest.mark.parametrize("output", ["x.cif", "POSCAR"])
def test_a_molecule_in_a_box_does_not_become_a_crystal_in_silence(output: str) -> None:
    count, failures, (warning,) = fits(output, BOXED, BOXED, CRYSTAL)
    assert (count, failures) == (3, [])
    assert warning.startswith("2 structures are not periodic")


@pytest.mark.parametrize("output", ["x.sdf", "x.mol"])
def test_a_cell_is_not_lost_in_silence(output: str) -> None:
    count, failures, (warning,) = fits(output, CRYSTAL, MOLECULE)
    assert (count, failures) == (2, [])
    assert warning.startswith("1 structure is periodic")


@pytest.mark.parametrize("output", ["x.extxyz", "x.h5", "x.db", "x.pdb", "x.csv", None])
def test_other_formats_take_everything(output: str | None) -> None:
    assert fits(output, CRYSTAL, MOLECULE, BOXED) == (3, [], [])


def test_convert_writes_the_structures_that_fit(tmp_path: Path) -> None:
    write_structures(tmp_path / "in.extxyz", [MOLECULE, CRYSTAL])
    result = convert([tmp_path / "in.extxyz"], tmp_path / "out.cif")
    assert (result.structures, result.exit_code) == (1, ExitCode.PARTIAL)
    assert [failure.where.frame for failure in result.failures] == [0]
    assert len(list(read_structures(tmp_path / "out.cif"))) == 1


def test_predictions_and_relaxations_of_the_others_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy(monkeypatch)
    model = save_toy(tmp_path / "model.safetensors")
    write_structures(tmp_path / "in.extxyz", [CRYSTAL, MOLECULE])
    predicted = predict(model, [tmp_path / "in.extxyz"], tmp_path / "p.cif")
    relaxed = relax(model, [tmp_path / "in.extxyz"], tmp_path / "r.cif", steps=2)
    assert predicted.structures == len(relaxed.rows) == 1
    for result in (predicted, relaxed):
        assert [failure.where.frame for failure in result.failures] == [1]
        assert result.output is not None
        assert len(list(read_structures(result.output))) == 1


def test_a_trajectory_that_cannot_hold_a_structure_costs_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_toy(monkeypatch)
    model = save_toy(tmp_path / "model.safetensors")
    write_structures(tmp_path / "in.extxyz", [MOLECULE, CRYSTAL])
    result = relax(model, [tmp_path / "in.extxyz"], tmp_path / "r.extxyz", trajectory=tmp_path / "t.cif", steps=2)
    assert (len(result.rows), len(result.failures)) == (1, 1)
    assert result.trajectory == tmp_path / "t.cif"


def test_smiles_files_take_molecules_with_bonds_that_make_one() -> None:
    bonded = Structure(MOLECULE.numbers, MOLECULE.positions, info={"bonds": [[0, 1, 1]]})
    twice = Structure(MOLECULE.numbers, MOLECULE.positions, info={"bonds": [[0, 1, 4]]})
    count, failures, warnings = fits("x.smi", MOLECULE, bonded, twice, CRYSTAL)
    assert (count, warnings) == (1, [])
    assert ["no bonds" in failures[0].reason, "(O) has the valence 4" in failures[1].reason] == [True, True]
    assert len(failures) == 3
