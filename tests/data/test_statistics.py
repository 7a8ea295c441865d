from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.data.frames import FrameTable, Survey
from eqcli.data.statistics import find_references, measure_statistics
from eqcli.errors import InputError
from eqcli.io.structure import Structure

ENERGIES = {1: -13.6, 6: -1029.5, 8: -2041.3}
CUTOFF = 3.0


def frame(numbers: list[int], binding: float = 0.0, **extra: object) -> Structure:
    positions = np.arange(3 * len(numbers), dtype=float).reshape(-1, 3) * 0.4
    energy = sum(ENERGIES[z] for z in numbers) + binding * len(numbers)
    return Structure(numbers=np.array(numbers), positions=positions, energy=energy, **extra)  # type: ignore[arg-type]


def table_of(frames: list[Structure]) -> FrameTable:
    survey = Survey(CUTOFF)
    for structure in frames:
        survey.add(structure)
    return survey.table()


MOLECULES = [[1, 1, 8], [6, 1, 1, 1, 1], [6, 8], [6, 8, 8], [1, 1, 6, 8]]


def test_least_squares_finds_energies_that_are_there() -> None:
    table = table_of([frame(m) for m in MOLECULES])
    found = find_references(table, np.arange(len(MOLECULES)), [1, 6, 8], "lstsq")
    assert found.energies == pytest.approx({"H": -13.6, "C": -1029.5, "O": -2041.3}, rel=1e-9)
    assert not found.true_atoms


def test_one_composition_gives_the_right_sum_and_a_warning() -> None:
    table = table_of([frame([6, 6, 1, 1, 1, 1, 1, 1, 8], b) for b in (0.1, -0.1)])
    found = find_references(table, np.arange(2), [1, 6, 8], "auto")
    e = found.energies
    assert 6 * e["H"] + 2 * e["C"] + e["O"] == pytest.approx(6 * -13.6 + 2 * -1029.5 - 2041.3, rel=1e-9)
    assert "do not determine" in found.notes[0]


def test_isolated_atoms_come_first_and_leave_the_binding_energy() -> None:
    atoms = [frame([z]) for z in (1, 6, 8)]
    table = table_of([frame(m, -3.0) for m in MOLECULES] + atoms)
    assert table.isolated.tolist() == [False] * 5 + [True] * 3
    found = measure_statistics(table, np.arange(5), "auto")
    assert found.reference.energies == pytest.approx({"H": -13.6, "C": -1029.5, "O": -2041.3})
    assert set(found.reference.source.values()) == {"isolated"}
    assert found.shift == pytest.approx(-3.0)


def test_a_missing_atom_is_fitted_and_named() -> None:
    table = table_of([frame(m) for m in MOLECULES] + [frame([1]), frame([8])])
    found = find_references(table, np.arange(5), [1, 6, 8], "auto")
    assert found.source == {"H": "isolated", "C": "lstsq", "O": "isolated"}
    assert found.energies["C"] == pytest.approx(-1029.5, rel=1e-9)
    with pytest.raises(InputError, match="isolated-atom frame with an energy for C"):
        find_references(table, np.arange(5), [1, 6, 8], "isolated")


def test_named_isolated_atoms_in_a_small_cell_are_isolated_atoms() -> None:
    cell = {"cell": np.eye(3) * 2.5, "pbc": np.ones(3, dtype=bool)}
    named = frame([1], info={"config_type": "IsolatedAtom"}, **cell)
    assert table_of([named, frame([1], **cell)]).isolated.tolist() == [True, False]


def test_isolated_atoms_that_disagree() -> None:
    table = table_of([frame([1, 1]), frame([1]), frame([1], 0.5)])
    found = find_references(table, np.array([0]), [1], "auto")
    assert found.energies["H"] == -13.6
    assert "differ by 0.5 eV" in found.notes[0]


def test_explicit_energies() -> None:
    table = table_of([frame([1, 1, 8])])
    found = find_references(table, np.array([0]), [1, 8], {"H": -1.0, "O": -2.0, "U": -3.0})
    assert found.energies == {"H": -1.0, "O": -2.0}
    assert "U" in found.notes[0]
    with pytest.raises(InputError, match="no energy for O"):
        find_references(table, np.array([0]), [1, 8], {"H": -1.0})


def test_scale_shift_and_neighbours() -> None:
    forces = np.array([[3.0, 0, 0], [0, -4.0, 0], [np.nan] * 3])
    table = table_of([frame([1, 1, 8], -2.0, forces=forces), frame([1, 1, 8], -4.0)])
    found = measure_statistics(table, np.arange(2), "zero")
    assert found.scale == pytest.approx(np.sqrt(25 / 6))
    assert found.shift == pytest.approx((2 * -13.6 - 2041.3) / 3 - 3)
    # A chain of three atoms: only next neighbours are within the cutoff.
    assert found.avg_num_neighbors == pytest.approx(4 / 3)


def test_the_table_survives_the_disk(tmp_path: Path) -> None:
    table = table_of([frame(m, info={"config_type": "é"}) for m in MOLECULES])
    table.save(tmp_path / "t.npz")
    again = FrameTable.load(tmp_path / "t.npz")
    for name, value in vars(table).items():
        np.testing.assert_array_equal(getattr(again, name), value)
