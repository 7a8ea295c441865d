"""Batched relaxations against those of single structures through ASE."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.batched.relaxing import converged, fmax, smax
from eqcli.engine.batched.state import BatchState, join, to_structure
from eqcli.engine.relaxation import Relaxation, RelaxSettings
from tests.engine.batched.relaxing_case import (
    ENDLESS,
    batched_path,
    begun,
    cluster,
    crystal,
    deviation,
    distorted,
    morse,
    same_tensors,
    single_path,
    slab,
)

CRYSTALS = [distorted(1), crystal(2.45), distorted(2, (1, 1, 1)), crystal(2.3, cubic=True), distorted(3, (2, 2, 1))]
OPEN = [cluster(1, 5), slab(1), distorted(4), cluster(2, 1), cluster(3, 11)]
OPTIMIZERS = ["fire", "lbfgs"]

CASES = {
    "fixed cells": (OPEN, {}),
    "full": (CRYSTALS, {"cell": "full"}),
    "isotropic": (CRYSTALS[:3], {"cell": "isotropic", "pressure": -5.0}),
    "pressure": (CRYSTALS[:3], {"cell": "full", "pressure": 15.0}),
    "symmetry": (CRYSTALS[2:], {"keep_symmetry": True}),
    "symmetry and cell": (CRYSTALS, {"keep_symmetry": True, "cell": "full", "pressure": 2.0}),
    "symmetry and isotropic": (CRYSTALS[2:4], {"keep_symmetry": True, "cell": "isotropic"}),
}


@pytest.fixture(scope="module")
def model():
    return morse()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_each_step_is_that_of_the_structure_alone_through_ase(model, case, optimizer):
    structures, choices = CASES[case]
    settings = RelaxSettings(steps=30, optimizer=optimizer, **ENDLESS, **choices)
    frames = batched_path(structures, model, settings)
    for k, structure in enumerate(structures):
        expected = single_path(structure, model, settings)
        moves = "cell" in choices or not (len(structure) == 1 or choices)
        assert not moves or deviation(expected[-1], expected[0])[1] > 0.01
        for step, wanted in enumerate(expected):
            energy, distance = deviation(frames[step][k], wanted)
            assert energy < 1e-8
            assert distance < 1e-9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", ["none", "full"])
def test_ends_and_numbers_of_steps_are_those_of_the_structures_alone(model, optimizer, cell):
    settings = RelaxSettings(optimizer=optimizer, cell=cell, fmax=0.03, smax=5e-4, steps=400)
    structures = CRYSTALS[:4] if cell == "full" else OPEN
    state, stepper, field = begun(structures, model, settings)
    done: dict[int, tuple[int, BatchState]] = {}
    while len(done) < len(structures):
        for k in converged(state, settings).nonzero().squeeze(1).tolist():
            done.setdefault(k, (int(state.step[k]), state))
        state = stepper.step(state, field)
        assert int(state.step.max()) <= settings.steps
    for k, structure in enumerate(structures):
        alone = Relaxation(structure, PotentialCalculator(model), settings)
        *_, last = alone.run()
        steps, end = done[k]
        assert alone.converged
        assert steps == alone.point.step
        energy, distance = deviation(to_structure(end, k, structure), last)
        assert energy < 1e-6 * len(structure)
        assert distance < 1e-6
        assert float(fmax(end)[k]) == pytest.approx(alone.point.fmax, rel=1e-5, abs=1e-10)
        assert float(smax(end, settings)[k]) == pytest.approx(alone.point.smax or 0.0, rel=1e-5, abs=1e-10)
        assert float(end.systems["relax/energy"][k]) == pytest.approx(alone.start.energy) or steps == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", ["fixed cells", "full", "symmetry and cell"])
def test_a_batch_is_the_sum_of_its_members(model, case, optimizer):
    structures, choices = CASES[case]
    settings = RelaxSettings(steps=30, optimizer=optimizer, **ENDLESS, **choices)
    together = batched_path(structures, model, settings)[-1]
    for structure, member in zip(structures, together, strict=True):
        alone = batched_path([structure], model, settings)[-1][0]
        assert max(deviation(member, alone)) < 1e-10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("choices", [{}, {"cell": "full", "pressure": 1.0}, {"cell": "isotropic"}])
def test_a_turned_structure_takes_the_turned_path(model, optimizer, choices):
    # Near the minimum: the limit on an L-BFGS step looks at single rows of the strain, which turn into each other.
    start = distorted(2, (2, 2, 1), size=0.01)
    start = replace(start, positions=start.positions * 0.96, cell=start.cell * 0.96)
    turn = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
    turned = replace(start, positions=start.positions @ turn.T, cell=start.cell @ turn.T)
    settings = RelaxSettings(steps=20, optimizer=optimizer, **ENDLESS, **choices)
    for one, other in batched_path([start, turned], model, settings):
        back = replace(other, positions=other.positions @ turn, cell=other.cell @ turn)
        assert max(deviation(one, back)) < 1e-9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_structures_come_and_go_without_changing_the_others(model, optimizer):
    settings = RelaxSettings(cell="full", keep_symmetry=True, optimizer=optimizer, **ENDLESS)
    state, stepper, field = begun(CRYSTALS, model, settings)
    late, _, _ = begun([distorted(7)], model, settings)
    late = late.with_(item=late.item + 7)
    for n in range(24):
        if n == 5:
            state = join([late, state])
        if n == 12:
            keep = torch.tensor([True, False, True, False, True, True])
            state = state.select(keep)
        state = stepper.step(state, field)
    after = {0: (distorted(7), 19), 1: (CRYSTALS[1], 24), 2: (CRYSTALS[3], 24), 3: (CRYSTALS[4], 24)}
    for k, (structure, steps) in after.items():
        assert int(state.step[k]) == steps
        alone = batched_path([structure], model, replace(settings, steps=steps))[-1][0]
        assert max(deviation(to_structure(state, k, structure), alone)) < 1e-8


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_path_goes_on_from_its_tensors_to_the_last_bit(model, optimizer, at, tmp_path):
    from safetensors.torch import load_file, save_file

    settings = RelaxSettings(cell="full", keep_symmetry=True, optimizer=optimizer, **ENDLESS)
    state, stepper, field = begun(CRYSTALS[:3], model, settings)
    for n in range(18):
        if n == at:
            save_file(state.tensors(), tmp_path / "state.safetensors")
        state = stepper.step(state, field)
    again = BatchState.from_tensors(load_file(tmp_path / "state.safetensors"))
    _, stepper, field = begun(CRYSTALS[:3], model, settings)
    for _ in range(18 - at):
        again = stepper.step(again, field)
    assert same_tensors(state, again)


def test_fixed_atoms_keep_their_place_in_a_moving_cell(model):
    start = replace(distorted(3), fixed=np.arange(8) < 3)
    settings = RelaxSettings(cell="full", steps=20, **ENDLESS)
    end = batched_path([start], model, settings)[-1][0]
    before, after = (x.positions @ np.linalg.inv(x.cell) for x in (start, end))
    np.testing.assert_allclose(after[:3], before[:3], atol=1e-12)
    assert np.abs(after[3:] - before[3:]).max() > 1e-3
    assert max(deviation(end, single_path(start, model, settings)[-1])) < 1e-9


def test_held_directions_do_not_move(model):
    start = slab(2)
    end = batched_path([start], model, RelaxSettings(steps=20, **ENDLESS))[-1][0]
    free = start.free_directions
    assert (end.positions == start.positions)[~free].all()
    assert (end.positions != start.positions)[free].all()
    assert (~free).sum() > 3


def test_convergence_ignores_held_atoms_and_needs_the_stress(model):
    perfect = crystal(2.45, cubic=True)
    held = replace(distorted(1), fixed=np.ones(8, dtype=bool))
    settings = RelaxSettings(fmax=0.01, cell="full")
    state, _, _ = begun([perfect, held], model, settings)
    assert (fmax(state) < 1e-10).all()
    assert not converged(state, settings).any()
    assert converged(state, replace(settings, cell="none")).all()
    stress = state.stress[0]
    assert float(smax(state, settings)[0]) == pytest.approx(float(stress.abs().max()))
    # At the pressure that the cell has, it is converged.
    own = -float(stress.diagonal().mean()) * 160.2176634
    assert bool(converged(state, replace(settings, pressure=own))[0])
    mean = partial(smax, settings=replace(settings, cell="isotropic"))
    assert float(mean(state)[1]) == pytest.approx(abs(float(state.stress[1].trace())) / 3)
