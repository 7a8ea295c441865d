"""Batched relaxation, dynamics and neighbour lists on the pretended device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from eqcli.engine.batched.field import Field
from eqcli.engine.batched.in_flight import InFlight
from eqcli.engine.batched.in_flight_parts import Ended
from eqcli.engine.batched.motion_settings import MotionSettings
from eqcli.engine.batched.moving import make_moving
from eqcli.engine.batched.observed import Observed, averages
from eqcli.engine.batched.relaxing import converged, make_relaxing
from eqcli.engine.batched.relaxing_checks import faults, sound
from eqcli.engine.batched.state import BatchState, from_structure, join
from eqcli.engine.batching import BatchBudget
from eqcli.engine.relaxation import RelaxSettings
from eqcli.graph.device_neighbours import device_pairs
from eqcli.io.structure import Structure
from eqcli.models.potentials.base import Potential
from tests.engine.batched.relaxing_case import ENDLESS, cluster, crystal, distorted, morse, slab
from tests.pretended.device import pretending
from tests.pretended.tensor import OnDevice
from tests.pretended.twice import assert_near

MIXED = [distorted(1), cluster(1, 5), slab(1), cluster(2, 1)]
CRYSTALS = [distorted(1), crystal(2.45), distorted(2, (1, 1, 1))]

RELAXATIONS: dict[str, tuple[list[Structure], dict[str, Any]]] = {
    "fire": (MIXED, {"optimizer": "fire"}),
    "lbfgs": (MIXED, {"optimizer": "lbfgs"}),
    "fire, cells": (CRYSTALS, {"optimizer": "fire", "cell": "full", "pressure": 5.0}),
    "lbfgs, cells": (CRYSTALS, {"optimizer": "lbfgs", "cell": "isotropic"}),
    "symmetry": ([distorted(3), crystal(2.3, cubic=True)], {"keep_symmetry": True, "cell": "full"}),
}
DYNAMICS: dict[str, dict[str, Any]] = {
    "nve": {"ensemble": "nve"},
    "chains": {"ensemble": "nvt"},
    "langevin": {"ensemble": "nvt", "thermostat": "langevin"},
    "npt": {"ensemble": "npt"},
    "npt, langevin": {"ensemble": "npt", "thermostat": "langevin"},
}


def begun(structures: Sequence[Structure], device: str) -> BatchState:
    return join([from_structure(structure, item) for item, structure in enumerate(structures)]).to(device)


def relaxed(structures: Sequence[Structure], choices: dict[str, Any], device: str) -> dict[str, Tensor]:
    settings = RelaxSettings(steps=6, **ENDLESS, **choices)
    field, stepper = Field(morse().potential.to(device), stress=True), make_relaxing(settings)
    state = field.evaluate(stepper.begin(field.evaluate(begun(structures, device))))
    for _ in range(6):
        state = stepper.step(state, field)
    assert not faults(state, settings)
    return {"ended": converged(state, settings), "sound": sound(state, settings), **state.tensors()}


def moved(choices: dict[str, Any], device: str) -> dict[str, Tensor]:
    settings = MotionSettings(temperature=300.0, time_step=1.0, steps=6, **choices)
    field, stepper = Field(morse().potential.to(device), stress=True), Observed(make_moving(settings), 1.0)
    state = stepper.begin(field.evaluate(begun(CRYSTALS, device)))
    for _ in range(6):
        state = stepper.step(state, field)
    return {**averages(state), **state.tensors()}


def assert_same(compute: Callable[[str], dict[str, Tensor]]) -> None:
    expected = compute("cpu")
    with pretending():
        found = compute("cuda")
        assert all(isinstance(x, OnDevice) for x in found.values())
        found = {name: x.cpu() for name, x in found.items()}
    assert found.keys() == expected.keys()
    for name in expected:
        assert_near(found[name], expected[name])


@pytest.mark.parametrize("case", RELAXATIONS)
def test_relaxations(case: str) -> None:
    assert_same(lambda device: relaxed(*RELAXATIONS[case], device))


@pytest.mark.parametrize("case", DYNAMICS)
def test_dynamics(case: str) -> None:
    assert_same(lambda device: moved(DYNAMICS[case], device))


def test_neighbour_lists() -> None:
    """Those that the device makes itself are those of the CPU, in their order."""

    def listed(device: str) -> dict[str, Tensor]:
        state = begun([*MIXED, *CRYSTALS], device)
        table, failed = device_pairs(state.positions, state.counts, state.cell, state.pbc, 3.0)
        assert not failed
        return {"sender": table.sender, "receiver": table.receiver, "shift": table.shift, "counts": table.counts}

    assert_same(listed)


def test_structures_without_a_list_are_told() -> None:
    lost = Structure(np.array([6, 6]), np.array([[0.0, 0, 0], [np.nan, 0, 0]]))
    with pretending():
        field = Field(morse().potential.to("cuda"), stress=True)
        state = field.evaluate(begun([distorted(1), lost], "cuda"))
        assert list(field.faults) == [1]
        assert state.energy.isfinite().tolist() == [True, False]


def flown(device: str) -> list[Ended]:
    """All structures at their end, in batches of a budget that measures its memory."""
    potential: Potential = morse().potential.to(device)
    settings = RelaxSettings(steps=5, cell="none", fmax=0.02)
    flight = InFlight(
        Field(potential, stress=True),
        make_relaxing(settings),
        ended=lambda state: converged(state, settings) | (state.step >= settings.steps),
        budget=BatchBudget(potential, atoms=20),
        device=device,
    )
    snapshots = []
    flight.on_step = lambda state: snapshots.append(flight.snapshot())
    ended = list(flight.run(enumerate([*MIXED, *CRYSTALS])))
    assert all(not isinstance(tensor, OnDevice) for tensors, _ in snapshots for tensor in tensors.values())
    return sorted(ended, key=lambda one: one.item)


def test_structures_in_flight() -> None:
    expected = flown("cpu")
    with pretending():
        found = flown("cuda")
    assert [one.item for one in found] == [one.item for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.error is None
        assert other.error is None
        for name, value in other.state.tensors().items():
            assert_near(one.state.tensors()[name], value)
