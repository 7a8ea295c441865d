"""Names, units and signs of labels; periodicity; what the report says about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from eqcli.errors import InputError
from eqcli.io import LabelConvention, Structure, label_report, read_structures, write_structures
from eqcli.io.frame import Frame
from eqcli.io.labels import interpret
from eqcli.units import ENERGY, LENGTH

CELL = np.array([[4.0, 0, 0], [1, 4, 0], [0, 1, 5]])


def frame(info: dict | None = None, arrays: dict | None = None, **fields: object) -> Frame:
    positions = np.array([[0.1, 0, 0], [0, 2, 1.0]])
    return Frame(np.array([11, 17]), positions, info=info or {}, arrays=arrays or {}, **fields)  # type: ignore[arg-type]


def labelled(labels: LabelConvention | None = None, **content: object) -> Structure:
    return interpret(frame(**content), labels or LabelConvention())[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["energy", "REF_energy", "Energy", "dft_energy", "free_energy", "total_energy"])
def test_energy_under_its_known_names(name: str) -> None:
    structure = labelled(info={name: -3.5, "other": 1})
    assert structure.energy == -3.5
    assert structure.info == {"other": 1}


def test_absent_labels_are_none() -> None:
    structure = labelled(info={"other": 1})
    assert structure.energy is None
    assert structure.forces is None
    assert structure.stress is None


def test_a_named_entry_is_taken_and_no_other() -> None:
    structure = labelled(LabelConvention(energy="mine"), info={"energy": 1.0, "mine": 2.0})
    assert structure.energy == 2.0
    assert structure.info == {"energy": 1.0}
    assert labelled(LabelConvention(energy="mine"), info={"energy": 1.0}).energy is None


def test_kcal_per_mol() -> None:
    labels = LabelConvention(energy_unit="kcal/mol")
    structure = labelled(labels, info={"energy": -100.0}, arrays={"forces": np.full((2, 3), 10.0)})
    assert structure.energy == pytest.approx(-4.33641153)
    np.testing.assert_allclose(structure.forces, 0.433641153)


def test_hartree_and_bohr() -> None:
    labels = LabelConvention(energy_unit="Hartree", length_unit="Bohr")
    structure = labelled(labels, info={"energy": 2.0}, arrays={"forces": np.ones((2, 3))}, cell=CELL)
    assert structure.energy == pytest.approx(2 * ENERGY["Hartree"])
    np.testing.assert_allclose(structure.forces, ENERGY["Hartree"] / LENGTH["Bohr"])
    np.testing.assert_allclose(structure.positions[1], np.array([0, 2, 1]) * LENGTH["Bohr"])
    np.testing.assert_allclose(structure.cell, CELL * LENGTH["Bohr"])


def test_formats_that_define_their_lengths_keep_them() -> None:
    structure = labelled(LabelConvention(length_unit="Bohr"), cell=CELL, angstrom=True)
    np.testing.assert_array_equal(structure.cell, CELL)


def test_energy_per_atom() -> None:
    assert labelled(LabelConvention(energy_per_atom=True), info={"energy": -3.0}).energy == -6.0


def test_stress_of_nine_numbers_is_read_row_after_row() -> None:
    nine = [1.0, 0.2, 0.3, 0.2, 2.0, 0.6, 0.3, 0.6, 3.0]
    structure = labelled(info={"stress": nine}, cell=CELL)
    np.testing.assert_array_equal(structure.stress, np.array(nine).reshape(3, 3))


@pytest.mark.parametrize("order", ["xx yy zz yz xz xy", "xx yy zz xy yz zx", "xx,xy,xz,yy,yz,zz"])
def test_stress_of_six_numbers_follows_the_order(order: str) -> None:
    full = np.array([[1.0, 4, 5], [4, 2, 6], [5, 6, 3]]) * 1e-2
    six = [full["xyz".index(a), "xyz".index(b)] for a, b in order.replace(",", " ").split()]
    structure = labelled(LabelConvention(stress_order=order), info={"stress": six}, cell=CELL)
    np.testing.assert_array_equal(structure.stress, full)


def test_vasp_stress_in_kbar() -> None:
    labels = LabelConvention(stress_unit="kbar", stress_sign="vasp", stress_order="xx yy zz xy xz yz")
    structure = labelled(labels, info={"stresses": [10.0, 20, 30, 1, 2, 3]}, cell=CELL)
    expected = -np.array([[10.0, 1, 2], [1, 20, 3], [2, 3, 30]]) / 1602.176634
    np.testing.assert_allclose(structure.stress, expected, rtol=1e-12)


@pytest.mark.parametrize("handed", [1, -1])
def test_virial_becomes_stress(handed: int) -> None:
    virial = np.array([[1.0, 0.1, 0.2], [0.1, 2, 0.3], [0.2, 0.3, 3]])
    structure = labelled(info={"virial": virial.ravel().tolist()}, cell=CELL * handed)
    np.testing.assert_allclose(structure.stress, -virial / 80.0, rtol=1e-12)


def test_stress_is_preferred_to_virial() -> None:
    structure = labelled(info={"virial": [1.0] * 6, "stress": [0.5] * 6}, cell=CELL)
    assert structure.stress[0, 0] == 0.5


@pytest.mark.parametrize("pbc", [[True, True, False], [False, False, False]])
def test_stress_needs_three_periods(pbc: list[bool]) -> None:
    structure, taken = interpret(frame(info={"stress": [1.0] * 6}, cell=CELL, pbc=np.array(pbc)), LabelConvention())
    assert structure.stress is None
    assert "three periodic directions" in taken.notes[0]


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"stress": [1.0] * 5}, "5 numbers"),
        ({"stress": [1.0, 9, 0, 0, 1, 0, 0, 0, 1]}, "not symmetric"),
        ({"stress": [np.nan] * 6}, "NaN"),
        ({"energy": True}, "not a number"),
        ({"energy": float("inf")}, "NaN or infinity"),
        ({"forces": [[1.0, 2.0]]}, "forces are 2 x 3"),
    ],
)
def test_labels_that_are_none(info: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        labelled(info=info, cell=CELL)


@pytest.mark.parametrize("order", ["xx yy zz", "xx yy zz xy xy xz", "a b c d e f"])
def test_orders_that_are_none(order: str) -> None:
    with pytest.raises(ValidationError):
        LabelConvention(stress_order=order)


def test_total_charge() -> None:
    assert labelled(info={"charge": -1}).charge == -1.0
    assert labelled(info={"total_charge": 2.0}).charge == 2.0
    assert labelled().charge is None


class TestPeriodicity:
    """`auto`, `on` and `off` on cells with and without a statement."""

    def pbc(self, cell: np.ndarray | None, mode: str = "auto", stated: list[bool] | None = None) -> list[bool]:
        pbc = None if stated is None else np.array(stated)
        return labelled(LabelConvention(pbc=mode), cell=cell, pbc=pbc).pbc.tolist()  # type: ignore[arg-type]

    def test_an_empty_box_is_no_period(self) -> None:
        assert self.pbc(np.eye(3) * 50) == [False] * 3

    def test_a_small_cell_is(self) -> None:
        assert self.pbc(CELL) == [True] * 3

    def test_a_slab_without_a_statement_is_periodic(self) -> None:
        assert self.pbc(np.diag([4.0, 4.0, 40.0])) == [True] * 3

    def test_the_box_is_measured_against_the_molecule(self) -> None:
        assert self.pbc(np.eye(3) * 12.1) == [False] * 3
        assert self.pbc(np.eye(3) * 11.9) == [True] * 3

    def test_a_skewed_box_is_measured_by_its_heights(self) -> None:
        flat = np.array([[30.0, 0, 0], [29, 5, 0], [0, 0, 30]])
        assert self.pbc(flat) == [True] * 3

    def test_the_statement_of_the_file_holds(self) -> None:
        assert self.pbc(np.eye(3) * 50, stated=[True, True, False]) == [True, True, False]

    def test_the_user_overrules_the_file(self) -> None:
        assert self.pbc(CELL, "off", [True] * 3) == [False] * 3
        assert self.pbc(np.eye(3) * 50, "on", [False] * 3) == [True] * 3

    @pytest.mark.parametrize("cell", [None, np.zeros((3, 3)), np.array([[1.0, 0, 0], [2, 0, 0], [0, 0, 1]])])
    def test_periods_need_vectors(self, cell: np.ndarray | None) -> None:
        with pytest.raises(InputError):
            self.pbc(cell, "on")

    def test_no_cell(self) -> None:
        assert self.pbc(None) == [False] * 3
        assert self.pbc(np.zeros((3, 3))) == [False] * 3

    def test_cells_that_are_not_finite(self) -> None:
        with pytest.raises(InputError, match="cell"):
            self.pbc(np.diag([1.0, np.inf, 1.0]))


class TestReport:
    """Sentences about a file."""

    def report(self, tmp_path: Path, content: str, **convention: object):
        path = tmp_path / "a.xyz"
        path.write_text(content)
        return label_report(path, LabelConvention(**convention))  # type: ignore[arg-type]

    def test_it_names_columns_units_and_periodicity(self, tmp_path: Path) -> None:
        head = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3 Energy=-1'
        report = self.report(tmp_path, f"1\n{head}\nH 0 0 0 0 0 0.1\n" * 3, energy_unit="kcal/mol")
        text = "\n".join(report.lines())
        assert "'Energy' in 3 of 3 frames; unit kcal/mol" in text
        assert "'forces' in 3 of 3 frames; unit kcal/mol/Angstrom" in text
        assert "stress: none found" in text
        assert "TTT in 3" in text
        assert report.has == {"energy": True, "forces": True, "stress": False}
        assert report.warnings() == []
        assert report.as_dict()["taken"]["energy"] == {"Energy": 3}

    def test_it_warns_of_what_looks_wrong(self, tmp_path: Path) -> None:
        good = 'Lattice="4 0 0 0 4 0 0 0 4" energy=1 REF_energy=2 stress="30 30 30 0 0 0"'
        forces = "Properties=species:S:1:pos:R:3:forces:R:3"
        content = f"1\n{good} {forces}\nH 0 0 0 0 0 80\n2\n\nH 0 0 0\n"
        warnings = "\n".join(self.report(tmp_path, content, virial="w").warnings())
        assert "kcal/mol" in warnings
        assert "kbar" in warnings
        assert "'REF_energy' is also" in warnings
        assert "1 of 2 frames are malformed" in warnings
        assert "no frame has the entry 'w'" in warnings

    def test_it_looks_at_the_first_frames_only(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xyz"
        path.write_text("1\nenergy=1\nH 0 0 0\n" * 10)
        report = label_report(path, frames=4)
        assert (report.frames, report.complete) == (4, False)
        assert "the first 4 frames" in report.lines()[0]

    def test_a_dataset_is_in_the_units_of_the_tool(self, tmp_path: Path) -> None:
        write_structures(tmp_path / "a.h5", [Structure(np.array([1]), np.zeros((1, 3)), energy=-13.6)])
        labels = LabelConvention(energy_unit="Hartree", energy="x")
        assert next(read_structures(tmp_path / "a.h5", labels)).energy == -13.6
        report = label_report(tmp_path / "a.h5", labels)
        assert "units" in report.lines()[1]
        assert report.warnings() == []


def test_labels_written_after_conversion_are_read_with_the_defaults(tmp_path: Path) -> None:
    source = tmp_path / "a.xyz"
    source.write_text(
        '1\nE=-1.0 energy=5 REF_energy=7 Lattice="4 0 0 0 4 0 0 0 4"\nH 0 0 0\n'
        '1\nREF_energy=7 REF_stress="1 1 1 0 0 0" pbc="F F F"\nH 0 0 0\n'
    )
    labels = LabelConvention(energy="E", energy_unit="Hartree")
    write_structures(tmp_path / "b.extxyz", read_structures(source, labels))
    converted, without = list(read_structures(tmp_path / "b.extxyz"))
    assert converted.energy == -27.211386245988
    assert converted.info == {"original_energy": 5, "REF_energy": 7}
    # An entry that the convention did not choose must not become the label of a frame that has none.
    assert without.energy is None
    assert without.stress is None
    assert without.info["original_REF_energy"] == 7
