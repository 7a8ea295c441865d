"""How often the host waits for the device where it matters: in each step of what takes many."""

from __future__ import annotations

import pytest
import torch

from eqcli.engine.batched.field import Field
from eqcli.engine.batched.motion_settings import MotionSettings
from eqcli.engine.batched.moving import make_moving
from eqcli.engine.batched.observed import Observed
from eqcli.engine.batched.relaxing import converged, make_relaxing
from eqcli.engine.batched.relaxing_checks import sound
from eqcli.engine.model_file import make_potential
from eqcli.engine.relaxation import RelaxSettings
from eqcli.graph.atom_graph import batch_graphs
from eqcli.models.potentials.base import Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from tests.contracts.test_potentials import ELEMENTS, VARIANTS, crystal, graph, molecule
from tests.engine.batched.relaxing_case import ENDLESS, morse
from tests.pretended.test_moving import CRYSTALS, MIXED, begun
from tests.pretended.waits import Waits

LISTS = 2
"""Which lists are too old, and which pairs are within the cutoff."""

ELEMENT_CHECK = 1
"""Whether the model knows all elements."""

EVALUATION = LISTS + ELEMENT_CHECK + 1
"""And whether all values are finite."""


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
def test_steps_of_relaxations(device: Waits, optimizer: str) -> None:
    settings = RelaxSettings(steps=4, optimizer=optimizer, **ENDLESS)
    field, stepper = Field(morse().potential.to("cuda"), stress=True), make_relaxing(settings)
    state = field.evaluate(stepper.begin(field.evaluate(begun(MIXED, "cuda"))))
    state = stepper.step(state, field)
    made = field.rebuilds
    device.clear()
    state = stepper.step(state, field)
    assert field.rebuilds == made
    assert device.total <= EVALUATION + 1  # and whether structures are at their start
    device.clear()
    converged(state, settings), sound(state, settings)
    assert device.total == 0


@pytest.mark.parametrize("thermostat", ["langevin", "nose-hoover"])
@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_steps_of_dynamics(device: Waits, ensemble: str, thermostat: str) -> None:
    settings = MotionSettings(ensemble=ensemble, thermostat=thermostat, temperature=300.0, time_step=1.0, steps=4)
    field, stepper = Field(morse().potential.to("cuda"), stress=True), Observed(make_moving(settings), 1.0)
    state = stepper.step(stepper.begin(field.evaluate(begun(CRYSTALS, "cuda"))), field)
    made = field.rebuilds
    device.clear()
    stepper.step(state, field)
    assert field.rebuilds == made
    assert device.total <= EVALUATION


@pytest.mark.filterwarnings("ignore:backend triton")
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("mace", 2 * ELEMENT_CHECK + 1),  # and the degrees of all atoms
        ("egnn", 2 * ELEMENT_CHECK),
        ("escn", 2 * ELEMENT_CHECK + 1),
        ("equiformer-v2", 2 * ELEMENT_CHECK + 1),
    ],
)
def test_evaluations(device: Waits, name: str, most: int) -> None:
    options = VARIANTS[name]
    potential = make_potential(POTENTIALS[options["name"]][2].model_validate(options), ELEMENTS)
    potential.initialise(Statistics(avg_num_neighbors=9.0, shift=0.3, scale=0.7))
    potential.eval().to("cuda")
    batch = batch_graphs([graph(*molecule(), potential), crystal(potential)]).to(torch.device("cuda"))  # type: ignore[arg-type]
    evaluate(potential, batch, stress=True)
    device.clear()
    evaluate(potential, batch, stress=True)
    assert device.total <= most
