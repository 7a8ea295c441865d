from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ErrorGroup
from eqcli.io.structure import Structure
from eqcli.tasks.check import CheckReport, check_data
from eqcli.units import ENERGY
from tests.engine.training_case import BASE, isolated_atoms, labelled, make_recipe, molecules, write


def check(folder: Path, frames: list[Structure], **changes: Any) -> CheckReport:
    return check_data(make_recipe(write(folder / "train.h5", frames), **changes))


def faults(folder: Path, frames: list[Structure], **changes: Any) -> str:
    with pytest.raises(ErrorGroup) as caught:
        check(folder, frames, **changes)
    return str(caught.value)


def crystals(count: int = 12) -> list[Structure]:
    """Strained copies of one cubic crystal with the stress of linear elasticity, bulk modulus 0.5 eV/Å^3."""
    made = []
    for strain in np.linspace(-0.03, 0.03, count):
        frame = labelled([1, 6, 8], BASE[:3] * (1 + strain), cell=4 * (1 + strain))
        frame.stress = np.eye(3) * 0.5 * 3 * strain
        made.append(frame)
    return made


def changed(frames: list[Structure], **factors: float) -> list[Structure]:
    for frame in frames:
        for name, factor in factors.items():
            if getattr(frame, name) is not None:
                setattr(frame, name, getattr(frame, name) * factor)
    return frames


def test_good_data(tmp_path: Path) -> None:
    report = check(tmp_path, molecules(30) + isolated_atoms())
    assert report.warnings == []
    facts = dict(report.facts)
    assert facts["structures"] == "18 train, 8 valid, 4 test"
    assert facts["elements"] == "H C O"
    assert "used for reference energies only" in facts["isolated atoms"]
    assert "H -13 eV (isolated)" in facts["reference energies"]
    assert report.as_dict()["splits"] == {"train": 18, "valid": 8, "test": 4}


def test_all_faults_at_once(tmp_path: Path) -> None:
    frames = molecules(20)
    for frame in frames:
        frame.forces = None
    odd = write(tmp_path / "test.h5", [labelled([1, 6], BASE[:2])])
    uranium = Structure(numbers=np.array([92, 1]), positions=BASE[:2], energy=-1.0, forces=np.zeros((2, 3)))
    valid = write(tmp_path / "valid.h5", [uranium])
    data = {"train": str(tmp_path / "train.h5"), "valid": str(valid), "test": str(odd)}
    text = faults(tmp_path, frames, data=data, loss={"energy": 1, "forces": 1, "stress": 1})
    assert "U occur in the valid structures and in no training structure" in text
    assert "no train structure has forces" in text
    assert "no train structure has stress" in text
    assert "no valid structure has stress" in text
    assert "data.labels.forces" in text


def test_columns_are_named_when_a_label_is_missing(tmp_path: Path) -> None:
    frames = molecules(20)
    for frame in frames:
        frame.arrays["my_forces"], frame.forces = frame.forces, None
    assert "my_forces" in faults(tmp_path, frames)


def test_some_frames_without_a_label(tmp_path: Path) -> None:
    frames = molecules(30)
    for frame in frames[::2]:
        frame.forces = None
    assert any("train structures have no forces" in w for w in check(tmp_path, frames).warnings)


@pytest.mark.parametrize(("unit", "found"), [("Hartree", "in Hartree"), ("kcal/mol", "in kcal/mol")])
def test_all_electron_energies_in_another_unit(tmp_path: Path, unit: str, found: str) -> None:
    totals = {1: -0.5 * 1.01, 6: -37.8 * 1.01, 8: -75.1 * 1.01}
    frames = molecules(30)
    for frame in frames:
        frame.energy = sum(totals[int(z)] for z in frame.numbers) * ENERGY["Hartree"] / ENERGY[unit]
    assert any(found in w for w in check(tmp_path, frames).warnings)
    for frame in frames:
        frame.energy *= ENERGY[unit]
    assert not any("look like" in w for w in check(tmp_path, frames).warnings)


def test_forces_in_kcal(tmp_path: Path) -> None:
    frames = changed(molecules(30), forces=100.0)
    assert any("the forces are large" in w and "kcal/mol" in w for w in check(tmp_path, frames).warnings)


def test_foreign_reference_energies(tmp_path: Path) -> None:
    data = {"reference_energies": {"H": -0.5, "C": -38.0, "O": -75.0}, "train": str(tmp_path / "train.h5")}
    report = check(tmp_path, molecules(30), data={**data, "split": {"valid": 5}})
    assert any("do not fit together" in w for w in report.warnings)


def test_stress_sign_and_unit(tmp_path: Path) -> None:
    sections = {"loss": {"stress": 1}}
    good = check(tmp_path, crystals(30), **sections).warnings
    assert not any("stress" in w for w in good)
    turned = check(tmp_path, changed(crystals(30), stress=-1.0), **sections).warnings
    assert any("stress_sign to vasp" in w for w in turned)
    kbar = check(tmp_path, changed(crystals(30), stress=1602.0), **sections).warnings
    assert any("kbar" in w for w in kbar)


def test_identical_frames_in_train_and_test(tmp_path: Path) -> None:
    frames = molecules(20)
    test = write(tmp_path / "test.h5", [frames[3], *molecules(2, seed=9)])
    data = {
        "train": str(tmp_path / "train.h5"),
        "test": str(test),
        "valid": str(write(tmp_path / "v.h5", molecules(3, 5))),
    }
    assert "1 test structures are identical to a training structure" in check(tmp_path, frames, data=data).warnings


def test_too_few_structures(tmp_path: Path) -> None:
    assert "nothing is left to train on" in faults(tmp_path, molecules(10))
    data = {"train": str(tmp_path / "train.h5"), "split": {"valid": 0}}
    assert "no validation structures" in faults(tmp_path, molecules(10), data=data)
    assert "no structures" in faults(tmp_path, [])


def test_malformed_frames_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "bad.extxyz"
    good = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.0\nH 0 0 0 0 0 0\nH 0 0 0.7 0 0 0\n"
    path.write_text(good + good.replace("0.7", "oops") + good)
    with pytest.raises(ErrorGroup) as caught:
        check_data(make_recipe(path))
    assert "frame 1" in str(caught.value)


def test_a_frame_above_the_budget_and_lonely_atoms(tmp_path: Path) -> None:
    far = labelled([1, 6, 8], BASE[:3] * np.array([1, 1, 1]) + np.array([[0, 0, 0], [0, 0, 0], [50, 0, 0]]))
    warnings = check(tmp_path, [*molecules(30), far, far], training={"batch": {"atoms": 4}}).warnings
    assert any("exceed the batch budget of 4 atoms" in w for w in warnings)
    assert any("no neighbour within" in w for w in warnings)


def test_real_copper_with_the_wrong_sign(shared: Path) -> None:
    """mlearn: per-atom energies, kbar, VASP sign, xx yy zz xy xz yz."""
    labels = {"energy_per_atom": True, "stress_unit": "kbar", "stress_order": "xx yy zz xy xz yz"}

    def warnings(sign: str) -> list[str]:
        data = {"train": str(shared / "mlearn" / "Cu.json"), "split": {"valid": 20}}
        recipe = make_recipe(Path(), data={**data, "labels": {**labels, "stress_sign": sign}}, loss={"stress": 1})
        return [w for w in check_data(recipe).warnings if "stress" in w]

    assert warnings("vasp") == []
    assert any("VASP sign" in w for w in warnings("ase"))


def test_a_missing_energy_is_told_beside_what_it_makes_impossible(tmp_path: Path) -> None:
    frames = molecules(30)
    for frame in frames:
        frame.info["my_energy"], frame.energy, frame.forces = frame.energy, None, None
    text = faults(tmp_path, frames)
    assert text.index("no train structure has energy") < text.index("reference energies cannot be fitted")
    assert "no train structure has forces" in text
    assert "my_energy" in text


def test_repeated_frames_do_not_leak_into_training(tmp_path: Path) -> None:
    frames = molecules(15)
    warnings = check(tmp_path, [*frames, *frames, *isolated_atoms()]).warnings
    assert not any("identical to a training structure" in w for w in warnings)
    assert any("repeat a held-out one and are left out of the training" in w for w in warnings)
    assert "nothing is left to train on" in faults(tmp_path, molecules(1) * 30)


@pytest.mark.parametrize("per_atom", [False, True])
def test_energies_per_atom_that_are_not_declared(tmp_path: Path, per_atom: bool) -> None:
    random = np.random.default_rng(0)
    frames = []
    for n in (2, 3, 4, 5) * 10:
        frame = labelled([int(z) for z in random.choice([1, 6], n)], BASE[:n] + random.normal(0, 0.08, (n, 3)))
        assert frame.energy is not None
        frame.energy /= n if per_atom else 1
        frames.append(frame)
    found = any("energy_per_atom" in w for w in check(tmp_path, frames).warnings)
    assert found == per_atom


def test_real_energies_per_atom(shared: Path) -> None:
    for element in ("Cu", "Si", "Li"):
        data = {"train": str(shared / "mlearn" / f"{element}.json"), "split": {"valid": 20}}
        for declared in (True, False):
            recipe = make_recipe(Path(), data={**data, "labels": {"energy_per_atom": declared}})
            assert any("energy_per_atom" in w for w in check_data(recipe).warnings) != declared


def test_a_file_is_not_for_training_and_for_testing(tmp_path: Path) -> None:
    data = {"train": str(tmp_path / "train.h5"), "test": str(tmp_path / "." / "train.h5")}
    text = faults(tmp_path, molecules(30), data=data)
    assert "this file stands under data.train already" in text
    assert "data.test" in text
