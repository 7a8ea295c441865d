"""Potentials whose radial networks are read from tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.model_file import make_potential
from eqcli.engine.tabulated import tabulate
from eqcli.graph.many import build_batch
from eqcli.io.structure import Structure
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from eqcli.nn.radial_tables import SMALLEST_DISTANCE
from tests.benchmarks.mixed_crystals import mixed_crystals
from tests.contracts.test_potentials import VARIANTS

ELEMENTS = [13, 28, 29, 46, 47, 78, 79]


def build(options: dict[str, Any]) -> Potential:
    torch.manual_seed(5)
    potential = make_potential(POTENTIALS[options["name"]][2].model_validate(options), ELEMENTS)
    potential.initialise(Statistics(avg_num_neighbors=20.0, shift=0.3, scale=0.7))
    return potential.to(torch.float64).eval()


@pytest.mark.parametrize("variant", ["mace", "mace-scalar", "mace-L2", "ensemble"])
def test_tables_give_what_networks_give(variant: str) -> None:
    potential = build(VARIANTS[variant])
    graph = build_batch(mixed_crystals(6, least=4, most=16), potential.cutoff)
    before, saved = evaluate(potential, graph, stress=True), list(potential.state_dict())
    assert tabulate(potential)
    after = evaluate(potential, graph, stress=True)
    for name, tolerance in (("energy", 1e-9), ("forces", 1e-7), ("stress", 1e-8)):
        difference = (after[name] - before[name]).abs().max()
        # Tables that are not used would give no difference at all.
        assert 0 < float(difference) < tolerance * float(before[name].abs().max()), name
    assert list(potential.state_dict()) == saved


def test_forces_are_the_gradient_of_the_energy() -> None:
    potential = build(VARIANTS["mace"])
    assert tabulate(potential)
    crystal = mixed_crystals(1, least=4, most=6)[0]
    forces = evaluate(potential, build_batch([crystal], potential.cutoff))["forces"]
    step = 1e-4
    energies = []
    for sign in (1, -1):
        moved = Structure(crystal.numbers, crystal.positions.copy(), crystal.cell, crystal.pbc)
        moved.positions[1, 2] += sign * step
        energies.append(float(evaluate(potential, build_batch([moved], potential.cutoff), forces=False)["energy"]))
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(float(forces[1, 2]), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("distance", [0.4, 0.499])
def test_atoms_closer_than_the_tables_begin_have_the_networks(distance: float) -> None:
    potential = build(VARIANTS["mace"])
    pair = Structure(np.array([29, 29]), np.array([[0.0, 0, 0], [distance, 0, 0]]))
    graph = build_batch([pair], potential.cutoff)
    before = evaluate(potential, graph)
    assert distance < SMALLEST_DISTANCE
    assert tabulate(potential)
    assert torch.equal(evaluate(potential, graph)["forces"], before["forces"])


@pytest.mark.parametrize("variant", ["mace-zbl", "mace-density", "mace-soft", "tensornet"])
def test_models_without_curves_stay_as_they_are(variant: str) -> None:
    potential = build(VARIANTS[variant])
    graph = build_batch(mixed_crystals(2, least=4, most=8), potential.cutoff)
    before = evaluate(potential, graph)["forces"]
    assert not tabulate(potential)
    assert torch.equal(evaluate(potential, graph)["forces"], before)


def test_single_precision_stays_as_it_is_and_a_cast_ends_the_use() -> None:
    potential = build(VARIANTS["mace"])
    graph = build_batch(mixed_crystals(2, least=4, most=8), potential.cutoff)
    single = build(VARIANTS["mace"]).to(torch.float32)
    assert not tabulate(single)
    assert tabulate(potential)
    assert torch.equal(evaluate(potential.to(torch.float32), graph)["energy"], evaluate(single, graph)["energy"])
