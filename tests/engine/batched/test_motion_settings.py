"""What dynamics may be asked for."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.engine.batched.moving import MotionSettings, make_moving, require_movable
from eqcli.errors import InputError
from eqcli.io.structure import Structure


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ensemble": "nvv"}, "unknown ensemble 'nvv'"),
        ({"thermostat": "andersen"}, "unknown thermostat"),
        ({"cell": "none"}, "unknown cell"),
        ({"time_step": 0.0}, "time_step must be positive"),
        ({"time_step": float("nan")}, "time_step must be positive"),
        ({"friction": -1.0}, "friction must be positive"),
        ({"tau_cell": float("inf")}, "tau_cell must be positive"),
        ({"temperature": -3.0}, "must not be negative"),
        ({"temperature": float("nan")}, "must not be negative"),
        ({"temperature": 0.0, "ensemble": "nvt"}, "above zero"),
        ({"pressure": float("nan"), "ensemble": "npt"}, "must be a number"),
        ({"pressure": 1.0, "ensemble": "nvt"}, "cell that can move"),
        ({"steps": -1}, "steps must not be negative"),
        ({"steps": 2**32}, "fewer than 2"),
        ({"every": 0}, "every must be at least 1"),
        ({"remove_drift": False, "ensemble": "nvt", "thermostat": "nose-hoover"}, "drifts"),
    ],
)
def test_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MotionSettings(**changes)  # type: ignore[arg-type]


def test_thermostats_by_name() -> None:
    def name(**changes: object) -> str:
        return type(make_moving(MotionSettings(**changes))).__name__  # type: ignore[arg-type]

    assert name() == name(thermostat="nose-hoover") == "VelocityVerlet"
    assert name(ensemble="nvt") == name(ensemble="npt") == "Langevin"
    assert name(ensemble="nvt", thermostat="nose-hoover") == name(ensemble="npt", thermostat="nose-hoover")


def test_what_a_cell_that_moves_needs() -> None:
    molecule = Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [0, 0, 1.2]]))
    crystal = Structure(molecule.numbers, molecule.positions, 4 * np.eye(3), np.ones(3, dtype=bool))
    npt, full = MotionSettings(ensemble="npt"), MotionSettings(ensemble="npt", cell="full")
    require_movable(molecule, MotionSettings(ensemble="nvt"))
    require_movable(crystal, full)
    with pytest.raises(InputError, match="not periodic in three"):
        require_movable(molecule, npt)
    crystal.fixed = np.array([True, False])
    require_movable(crystal, full)
    crystal.arrays["move_mask"] = np.array([[True, True, False], [True, True, True]])
    require_movable(crystal, full)
    crystal.fixed = None
    with pytest.raises(InputError, match="along some directions"):
        require_movable(crystal, full)
    require_movable(crystal, npt)
