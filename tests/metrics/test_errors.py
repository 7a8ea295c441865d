"""Errors of labelled structures: units, groups, masks, worst structures, energy shift."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eqcli.errors import Where
from eqcli.io.structure import Structure
from eqcli.metrics.errors import Errors


def water(frame: int = 0, **labels: object) -> Structure:
    positions = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    return Structure(np.array([8, 1, 1]), positions, where=Where("water.xyz", frame), **labels)  # type: ignore[arg-type]


def off_by(structure: Structure, energy: float = 0.0, forces: float = 0.0, stress: float = 0.0) -> Structure:
    """The structure with predictions that are wrong by so much."""
    return replace(
        structure,
        energy=(structure.energy or 0.0) + energy,
        forces=(np.zeros((3, 3)) if structure.forces is None else structure.forces) + forces,
        stress=None if structure.stress is None else structure.stress + stress,
    )


def test_energies_are_per_atom_and_per_structure() -> None:
    errors = Errors()
    labelled = water(energy=-10.0)
    errors.add(labelled, off_by(labelled, energy=0.3))
    total = errors.figures()["total"]
    assert total["energy_per_atom"]["mae"] == pytest.approx(100.0)
    assert total["energy_per_atom"]["unit"] == "meV/atom"
    assert total["energy"]["mae"] == pytest.approx(300.0)
    assert "forces" not in total


def test_forces_are_componentwise() -> None:
    errors = Errors()
    labelled = water(forces=np.zeros((3, 3)))
    predicted = off_by(labelled)
    assert predicted.forces is not None
    predicted.forces[0] = [0.3, 0.0, 0.0]
    errors.add(labelled, predicted)
    total = errors.figures()["total"]["forces"]
    assert total["mae"] == pytest.approx(1e3 * 0.3 / 9)
    assert total["rmse"] == pytest.approx(1e3 * 0.3 / 3)
    assert total["max"] == pytest.approx(300.0)
    assert total["count"] == 9


def test_forces_by_element() -> None:
    errors = Errors()
    labelled = water(forces=np.zeros((3, 3)))
    predicted = off_by(labelled)
    assert predicted.forces is not None
    predicted.forces[0] = 0.2
    errors.add(labelled, predicted)
    by_element = errors.figures()["by_element"]
    assert by_element["O"]["forces"]["mae"] == pytest.approx(200.0)
    assert by_element["H"]["forces"]["mae"] == 0.0
    assert by_element["H"]["forces"]["count"] == 6


def test_stress_in_both_units_counts_six_components() -> None:
    errors = Errors()
    labelled = water(stress=np.zeros((3, 3)))
    errors.add(labelled, off_by(labelled, stress=0.01))
    total = errors.figures()["total"]
    assert total["stress"]["mae"] == pytest.approx(10.0)
    assert total["stress_gpa"]["mae"] == pytest.approx(1.602176634)
    assert total["stress"]["count"] == 6


def test_absent_labels_are_not_zeros() -> None:
    errors = Errors()
    forces = np.full((3, 3), np.nan)
    forces[1] = 0.0
    errors.add(water(forces=forces), off_by(water(), forces=0.1))
    errors.add(water(1), off_by(water(1), energy=5.0, forces=9.0))
    errors.add(water(2, energy=float("nan")), off_by(water(2)))
    figures = errors.figures()
    assert figures["structures"] == 3
    assert figures["labelled"] == {"energy": 0, "forces": 1, "stress": 0}
    assert figures["total"]["forces"]["count"] == 3
    assert figures["total"]["forces"]["mae"] == pytest.approx(100.0)
    assert figures["energy_shift"] is None
    json.dumps(figures, allow_nan=False)


def test_groups_by_config_type_and_file() -> None:
    errors = Errors()
    for frame, (kind, error) in enumerate([("md", 0.1), ("md", 0.3), ("scan", 1.0)]):
        labelled = water(frame, forces=np.zeros((3, 3)), info={"config_type": kind})
        errors.add(labelled, off_by(labelled, forces=error))
    figures = errors.figures()
    assert figures["by_config_type"]["md"]["forces"]["mae"] == pytest.approx(200.0)
    assert figures["by_config_type"]["scan"]["forces"]["mae"] == pytest.approx(1000.0)
    assert list(figures["by_file"]) == ["water.xyz"]


def test_endless_config_types_are_bounded() -> None:
    errors = Errors()
    for frame in range(300):
        labelled = water(frame, energy=0.0, info={"config_type": f"name-{frame}"})
        errors.add(labelled, off_by(labelled))
    groups = errors.figures()["by_config_type"]
    assert len(groups) <= 101
    assert groups["(other)"]["energy"]["count"] == 200


def test_worst_structures_are_named() -> None:
    errors = Errors(worst=2)
    for frame, error in enumerate([0.1, 0.5, 0.2, 0.4]):
        labelled = water(frame, energy=0.0, forces=np.zeros((3, 3)))
        predicted = off_by(labelled, energy=-error)
        assert predicted.forces is not None
        predicted.forces[2, 1] = error
        errors.add(labelled, predicted)
    worst = errors.figures()["worst"]
    assert [entry["frame"] for entry in worst["forces"]] == [1, 3]
    assert worst["forces"][0]["atom"] == 2
    assert worst["forces"][0]["element"] == "H"
    assert worst["energy"][0]["error"] == pytest.approx(-1e3 * 0.5 / 3)


def test_energy_shift_is_taken_out_and_reported() -> None:
    errors = Errors()
    for frame, error in enumerate([30.3, 29.7]):
        labelled = water(frame, energy=0.0)
        errors.add(labelled, off_by(labelled, energy=error))
    shift = errors.figures()["energy_shift"]
    assert shift["mean_error_eV_per_atom"] == pytest.approx(10.0)
    assert shift["mae_without_shift"] == pytest.approx(100.0)
    assert shift["rmse_without_shift"] == pytest.approx(100.0)
    assert shift["suspicious"]


def test_cosine_of_directions() -> None:
    errors = Errors()
    reference = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1e-6]])
    labelled = water(forces=reference)
    predicted = replace(labelled, forces=np.array([[2.0, 0, 0], [1.0, 0, 0], [5.0, 0, 0]]))
    errors.add(labelled, predicted)
    cosine = errors.figures()["total"]["force_cosine"]
    assert cosine == {"count": 2, "mean": pytest.approx(0.5)}
