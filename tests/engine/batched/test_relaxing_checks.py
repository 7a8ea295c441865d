"""Structures that relax to nowhere, in the words of the relaxation of single structures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.batched.field import Field
from eqcli.engine.batched.relaxing import make_relaxing
from eqcli.engine.batched.relaxing_checks import faults, sound
from eqcli.engine.batched.state import BatchState, from_structure, join, to_structure
from eqcli.engine.model_file import ModelFile
from eqcli.engine.relaxation import Relaxation, RelaxSettings
from eqcli.errors import EqcliError
from eqcli.io.structure import Structure
from tests.engine.batched.relaxing_case import ENDLESS, batched_path, begun, crystal, deviation, distorted, morse


def message(structure: Structure, model: ModelFile, settings: RelaxSettings) -> str:
    with pytest.raises(EqcliError) as caught:
        for _ in Relaxation(structure, PotentialCalculator(model), settings).run():
            pass
    return str(caught.value.message)


def first_faults(structures: list[Structure], model: ModelFile, settings: RelaxSettings) -> dict[int, str]:
    """What is said first of each structure, all going on to the end."""
    state, stepper, field = begun(structures, model, settings)
    said = faults(state, settings)
    for _ in range(settings.steps):
        state = stepper.step(state, field)
        found = faults(state, settings)
        assert found.keys() == set((~sound(state, settings)).nonzero().squeeze(1).tolist())
        said = found | said
    return said


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
def test_atoms_that_fall_into_each_other(optimizer):
    model = morse()
    # Attraction without end below the distance of a Morse pair: the sign is turned.
    model.potential.depth.fill_(-2.0)
    falling = Structure([6, 6], [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    apart = Structure([6, 6], [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    settings = RelaxSettings(optimizer=optimizer, steps=12, **ENDLESS)
    said = first_faults([apart, falling], model, settings)
    assert said == {1: message(falling, model, settings)}
    assert "the atoms fell into each other at step" in said[1]


def test_atoms_that_are_close_from_the_start_may_part():
    model = morse()
    near = Structure([6, 6], [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    assert first_faults([near], model, RelaxSettings(steps=3)) == {}


def test_a_cell_that_explodes():
    model = morse()
    settings = RelaxSettings(cell="full", pressure=-400.0, steps=70)
    said = first_faults([distorted(1, (1, 1, 1)), crystal()], model, settings)
    for k, structure in enumerate((distorted(1, (1, 1, 1)), crystal())):
        assert said[k] == message(structure, model, settings)
        assert "the volume changed by a factor of" in said[k]


def test_values_that_are_not_finite_harm_no_companion():
    model = morse()
    settings = RelaxSettings(cell="full", steps=6, **ENDLESS)
    structures = [distorted(1), distorted(2), crystal()]

    class Breaking(Field):
        def evaluate(self, state: BatchState) -> BatchState:
            found = super().evaluate(state)
            broken = (state.item == 1) & (state.step >= 2)
            return found.with_(
                forces=torch.where(broken[state.batch][:, None], torch.nan, found.forces),
                stress=torch.where(broken[:, None, None], torch.inf, found.stress),
            )

    for optimizer in ("fire", "lbfgs"):
        chosen = replace(settings, optimizer=optimizer)
        field, stepper = Breaking(model.potential, stress=True), make_relaxing(chosen)
        state = join([from_structure(x, k) for k, x in enumerate(structures)])
        state = stepper.begin(field.evaluate(state))
        for _ in range(6):
            state = stepper.step(state, field)
        said = faults(state, chosen)
        assert said.keys() == {1}
        assert said[1].startswith("energy or forces are not finite at step 6: atoms ")
        assert torch.isfinite(state.positions).all()
        for k in (0, 2):
            alone = batched_path([structures[k]], model, chosen)[-1][0]
            assert max(deviation(to_structure(state, k, structures[k]), alone)) < 1e-10


def test_a_lost_symmetry_is_named():
    model = morse()
    settings = RelaxSettings(cell="full", keep_symmetry=True, symprec=1e-3)
    state, _, _ = begun([crystal(2.4, cubic=True), crystal(2.3, (2, 1, 1))], model, settings)
    assert faults(state, settings) == {}
    positions = state.positions.clone()
    positions[0, 0] += 0.1
    said = faults(state.with_(positions=positions), settings)
    assert said == {0: "the relaxation lost the symmetry Fm-3m (225) by 0.1 Å; it is now P4mm (99)"}
    assert faults(state.with_(positions=positions), replace(settings, keep_symmetry=False)) == {}


def test_molecules_have_no_volume_to_change():
    model = morse()
    state, stepper, field = begun([Structure([6, 8], np.eye(2, 3) * 1.2)], model, RelaxSettings())
    assert faults(stepper.step(state, field), RelaxSettings()) == {}
