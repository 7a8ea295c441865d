"""Every head of every potential: its law of transformation, batches, sizes, model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from tests.contracts.test_potentials import ELEMENTS, EXACT, VARIANTS, crystal, molecule, relative
from tests.rotations import random_rotation

SCALARS: dict[str, Any] = {
    "gap": {"kind": "scalar", "reduce": "mean", "unit": "Hartree"},
    "capacity": {"kind": "scalar"},
    "charges": {"kind": "charges"},
    "dipole": {"kind": "dipole"},
    "polarisability": {"kind": "tensor", "unit": "Bohr^3"},
    "shielding": {"kind": "atom-scalar", "unit": "ppm"},
}
VECTORS: dict[str, Any] = {"field": {"kind": "vector", "reduce": "mean"}, "spin_density": {"kind": "atom-vector"}}
FIRST = {options["name"]: key for key, options in reversed(VARIANTS.items()) if "heads" not in options}
SCALES = {name: (0.4 if name in ("gap", "capacity") else 0.0, 1.7) for name in (*SCALARS, *VECTORS)}


def potential_with(options: dict[str, Any], heads: dict[str, Any], *, energy: bool = True) -> Potential:
    torch.manual_seed(0)
    config = POTENTIALS[options["name"]][2].model_validate({**options, "heads": heads, "energy": energy})
    made = make_potential(config, ELEMENTS)
    made.initialise(Statistics(9.0, 0.3, 0.7, {name: SCALES[name] for name in heads}))
    return made.eval()


HEADED = [key for name, key in FIRST.items() if "heads" in POTENTIALS[name][2].model_fields]


@pytest.fixture(scope="module", params=HEADED)
def potential(request: pytest.FixtureRequest) -> Potential:
    options = VARIANTS[request.param]
    try:
        return potential_with(options, {**SCALARS, **VECTORS})
    except ValueError:  # no vectors
        return potential_with(options, SCALARS)


def graph(potential: Potential, positions: np.ndarray, order: np.ndarray | None = None) -> AtomGraph:
    numbers, _ = molecule()
    order = np.arange(len(numbers)) if order is None else order
    return build_graph(numbers[order], positions[order], np.zeros((3, 3)), np.zeros(3, dtype=bool), potential.cutoff)


def turned(value: Tensor, kind: str, matrix: Tensor) -> Tensor:
    if kind == "tensor":
        return matrix @ value @ matrix.T
    return value @ matrix.T if kind == "vector" else value


def test_outputs_are_declared_and_present(potential: Potential) -> None:
    found = evaluate(potential, graph(potential, molecule()[1]), stress=False)
    assert set(potential.quantities) <= set(potential.outputs) & set(found)
    for name, quantity in potential.quantities.items():
        lead = 9 if quantity.per_atom else 1
        assert found[name].shape == (lead, *{"scalar": (), "vector": (3,), "tensor": (3, 3)}[quantity.kind]), name
        assert found[name].dtype == torch.float64


@pytest.mark.parametrize("reflect", [False, True])
def test_properties_follow_their_laws(potential: Potential, reflect: bool) -> None:
    matrix = random_rotation(4) * (-1 if reflect else 1)
    x = molecule()[1]
    before = evaluate(potential, graph(potential, x), forces=False)
    after = evaluate(potential, graph(potential, x @ matrix.numpy().T + [3.0, -7.0, 11.0]), forces=False)
    for name, quantity in potential.quantities.items():
        assert relative(after[name], turned(before[name], quantity.kind, matrix)) < EXACT, name
        assert before[name].abs().max() > 1e-6, name


def test_properties_follow_permutations(potential: Potential) -> None:
    x = molecule()[1]
    order = np.random.default_rng(1).permutation(len(x))
    before, after = (evaluate(potential, graph(potential, x, o), forces=False) for o in (None, order))
    for name, quantity in potential.quantities.items():
        expected = before[name][order] if quantity.per_atom else before[name]
        assert relative(after[name], expected) < EXACT, name


def test_a_batch_gives_the_properties_of_its_members(potential: Potential) -> None:
    members = [graph(potential, molecule(seed)[1]) for seed in (0, 3)]
    batch = evaluate(potential, batch_graphs(members), forces=False)
    alone = [evaluate(potential, member, forces=False) for member in members]
    for name in potential.quantities:
        assert relative(batch[name], torch.cat([a[name] for a in alone])) < EXACT, name


def test_extensive_properties_add_up_and_intensive_ones_do_not(potential: Potential) -> None:
    numbers, x = molecule()
    one = evaluate(potential, graph(potential, x), forces=False)
    far = np.concatenate([x, x + 60.0])
    pair = build_graph(np.tile(numbers, 2), far, np.zeros((3, 3)), np.zeros(3, dtype=bool), potential.cutoff)
    two = evaluate(potential, pair, forces=False)
    for name in ("capacity", "polarisability", "dipole"):
        assert relative(two[name], 2 * one[name]) < 1e-9, name
    assert relative(two["gap"], one["gap"]) < EXACT


def test_charges_add_up_to_the_total_charge(potential: Potential) -> None:
    neutral = graph(potential, molecule()[1])
    ion = neutral.clone()
    ion.charge = torch.tensor([1.0], dtype=torch.float64)
    for case, total in ((neutral, 0.0), (ion, 1.0)):
        assert float(evaluate(potential, case, forces=False)["charges"].sum()) == pytest.approx(total, abs=1e-12)


def test_a_dipole_is_not_defined_with_periods(potential: Potential) -> None:
    batch = batch_graphs([crystal(potential), graph(potential, molecule()[1])])
    dipole = evaluate(potential, batch, forces=False)["dipole"]
    assert bool(dipole[0].isnan().all())
    assert bool(dipole[1].isfinite().all())
    assert potential.quantities["dipole"].molecular


def test_heads_survive_saving(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, potential, training={}, provenance={})
    x = molecule()[1]
    before, after = (evaluate(p, graph(p, x), forces=False) for p in (potential, load_model(path).potential))
    assert all(torch.equal(before[name], after[name]) for name in potential.quantities)


def test_properties_without_an_energy(potential: Potential) -> None:
    options = next(VARIANTS[key] for name, key in FIRST.items() if name == potential.config.name)  # type: ignore[attr-defined]
    heads = {name: SCALARS[name] for name in ("dipole", "gap")}
    alone = potential_with(options, heads, energy=False)
    found = evaluate(alone, graph(alone, molecule()[1]), stress=True)
    assert set(found) == {"dipole", "gap"} == set(alone.outputs)
