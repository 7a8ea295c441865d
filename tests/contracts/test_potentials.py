"""The contract of `models/potentials/base.py`, for every potential and its main variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import evaluate
from tests.rotations import random_rotation

SMALL_MACE: dict[str, Any] = {"name": "mace", "cutoff": 4.0, "channels": 4, "radial_MLP": (8, 8), "MLP_irreps": "4x0e"}
SMALL_TENSORNET: dict[str, Any] = {"name": "tensornet", "cutoff": 4.0, "channels": 6, "num_radial_basis": 8}
SMALL_EGNN: dict[str, Any] = {"name": "egnn", "cutoff": 4.0, "channels": 8, "num_layers": 3}
SMALL_FAENET: dict[str, Any] = {
    "name": "faenet",
    "cutoff": 4.0,
    "hidden_channels": 8,
    "num_filters": 8,
    "num_layers": 2,
    "num_radial_basis": 6,
}
SMALL_EQUIFORMER: dict[str, Any] = {
    "name": "equiformer-v2",
    "cutoff": 4.0,
    "channels": 4,
    "edge_channels": 8,
    "num_radial_basis": 6,
    "num_heads": 2,
    "attn_hidden_channels": 6,
    "attn_alpha_channels": 4,
    "attn_value_channels": 3,
    "ffn_hidden_channels": 8,
}
SMALL_ESCN: dict[str, Any] = {
    "name": "escn",
    "cutoff": 4.0,
    "channels": 4,
    "hidden_channels": 6,
    "edge_channels": 8,
    "num_radial_basis": 6,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "mace": SMALL_MACE,
    "mace-scalar": {**SMALL_MACE, "max_L": 0, "correlation": 2},
    "mace-L2": {**SMALL_MACE, "max_L": 2, "num_interactions": 3, "max_ell": 2},
    "mace-zbl": {**SMALL_MACE, "zbl": {}, "distance_transform": "agnesi", "interaction_first": "agnostic"},
    "mace-density": {**SMALL_MACE, "interaction_first": "density", "interaction": "residual-density"},
    "mace-soft": {**SMALL_MACE, "radial_type": "gaussian", "distance_transform": "soft", "max_ell": 1},
    "tensornet": SMALL_TENSORNET,
    "tensornet-SO3": {**SMALL_TENSORNET, "group": "SO(3)", "num_layers": 3, "radial_type": "bessel"},
    "tensornet-embedding": {**SMALL_TENSORNET, "num_layers": 0, "radial_type": "gaussian", "trainable_basis": True},
    "tensornet-charge": {**SMALL_TENSORNET, "num_layers": 1, "charge": True, "avg_num_neighbors": None},
    "egnn": SMALL_EGNN,
    "egnn-moving": {**SMALL_EGNN, "update_positions": True, "num_radial_basis": 5, "attention": False},
    "egnn-direct": {**SMALL_EGNN, "forces": "direct", "num_layers": 2},
    "faenet": SMALL_FAENET,
    "faenet-direct": {**SMALL_FAENET, "forces": "direct", "frames": {"mode": "stochastic"}},
    "faenet-weighted": {**SMALL_FAENET, "pooling": "weighted", "skip": "none", "frames": {"group": "SO(3)"}},
    "faenet-unframed": {**SMALL_FAENET, "radial_type": "expnormal", "frames": {"mode": "none"}},
    "frame-averaged": {"name": "frame-averaged", "backbone": {**SMALL_FAENET, "frames": {"mode": "none"}}},
    "ensemble": {
        "name": "ensemble",
        "members": [{**SMALL_MACE, "max_L": 0}, {**SMALL_MACE, "channels": 2, "max_ell": 1, "cutoff": 3.5}],
    },
    "escn": SMALL_ESCN,
    "escn-L3": {**SMALL_ESCN, "lmax": 3, "mmax": 1, "parity": False, "norm": "none", "num_cutoff_basis": 6},
    "escn-direct": {**SMALL_ESCN, "forces": "direct", "lmax": 1, "mmax": 1, "radial_type": "bessel"},
    "escn-published": {
        **SMALL_ESCN,
        "num_layers": 2,
        "forces": "direct",
        "activation": "s2-grid",
        "parity": False,
        "norm": "none",
    },
    "equiformer-v2": SMALL_EQUIFORMER,
    "equiformer-v2-L3": {**SMALL_EQUIFORMER, "lmax": 3, "mmax": 1, "num_layers": 1, "parity": False},
    "equiformer-v2-scalar": {**SMALL_EQUIFORMER, "lmax": 0, "mmax": 0, "radial_type": "bessel"},
    "equiformer-v2-direct": {**SMALL_EQUIFORMER, "forces": "direct"},
    "equiformer-v2-published": {**SMALL_EQUIFORMER, "forces": "direct", "activation": "s2-grid", "parity": False},
}
ELEMENTS = [1, 6, 8]
EXACT = 1e-10
"""Relative error allowed to a symmetry in float64."""


def test_every_potential_is_here() -> None:
    assert {v["name"] for v in VARIANTS.values()} == set(POTENTIALS)


@pytest.fixture(scope="module", params=list(VARIANTS))
def potential(request: pytest.FixtureRequest) -> Potential:
    options = VARIANTS[request.param]
    torch.manual_seed(0)
    made = make_potential(POTENTIALS[options["name"]][2].model_validate(options), ELEMENTS)
    made.initialise(Statistics(avg_num_neighbors=9.0, shift=0.3, scale=0.7))
    made.reference_energies.add_(torch.tensor([-13.0, -1000.0, -2000.0], dtype=torch.float64))
    return made.eval()


def molecule(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and positions of nine atoms without symmetry."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(range(3), range(3), range(1)), -1).reshape(-1, 3) * 1.3
    return np.array([6, 6, 8, 1, 1, 1, 1, 1, 8]), grid + rng.normal(scale=0.25, size=(9, 3))


CELL = np.array([[3.1, 0.2, 0.0], [0.4, 3.3, 0.1], [0.3, -0.5, 2.9]])


def graph(
    numbers: np.ndarray, positions: np.ndarray, potential: Potential, cell: np.ndarray | None = None
) -> AtomGraph:
    pbc = np.array([cell is not None] * 3)
    return build_graph(numbers, positions, np.zeros((3, 3)) if cell is None else cell, pbc, potential.cutoff)


def crystal(potential: Potential, cell: np.ndarray = CELL) -> AtomGraph:
    fractions = np.array([[0.0, 0, 0], [0.5, 0.45, 0.1], [0.2, 0.8, 0.6], [0.7, 0.1, 0.55]])
    return graph(np.array([8, 6, 1, 6]), fractions @ cell, potential, cell)


def require(potential: Potential, *, stress: bool = False, gradient: bool = False) -> None:
    """Skips what a model that states its own forces does not promise."""
    if stress and "stress" not in potential.outputs:
        pytest.skip("this model gives no stress")
    if gradient and potential.direct:
        pytest.skip("the forces of this model are not derivatives")


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("reflect", [False, True])
def test_rotations_reflections_and_translations(potential: Potential, reflect: bool) -> None:
    if reflect and not potential.reflections:
        pytest.skip("this model respects rotations alone")
    numbers, x = molecule()
    r = random_rotation(4).numpy() * (-1 if reflect else 1) if potential.exact else np.eye(3)
    before = evaluate(potential, graph(numbers, x, potential))
    after = evaluate(potential, graph(numbers, x @ r.T + [3.0, -7.0, 11.0], potential))
    assert relative(after["energy"], before["energy"]) < EXACT
    assert relative(after["forces"], before["forces"] @ torch.from_numpy(r).T) < EXACT
    assert before["forces"].abs().max() > 1e-3


def test_stress_turns_with_the_crystal(potential: Potential) -> None:
    require(potential, stress=True)
    if not potential.exact:
        pytest.skip("this model has no exact symmetry")
    r = random_rotation(6)
    before = evaluate(potential, crystal(potential), stress=True)
    after = evaluate(potential, crystal(potential, CELL @ r.numpy().T), stress=True)
    assert relative(after["stress"], r @ before["stress"] @ r.T) < EXACT


def test_permutations(potential: Potential) -> None:
    numbers, x = molecule()
    order = np.random.default_rng(1).permutation(len(x))
    before, after = (evaluate(potential, graph(numbers[o], x[o], potential)) for o in (np.arange(len(x)), order))
    assert relative(after["energy"], before["energy"]) < EXACT
    assert relative(after["forces"], before["forces"][order]) < EXACT
    assert relative(after["atomic_energies"], before["atomic_energies"][order]) < EXACT


def test_a_batch_gives_what_its_members_give(potential: Potential) -> None:
    numbers, x = molecule()
    members = [graph(numbers, x, potential), crystal(potential), graph(numbers[:1], x[:1], potential)]
    batch = evaluate(potential, batch_graphs(members), stress=True)
    alone = [evaluate(potential, m, stress=True) for m in members]
    for name in ("energy", "forces", "atomic_energies"):
        assert relative(batch[name], torch.cat([a[name] for a in alone])) < EXACT
    if "stress" in potential.outputs:
        assert relative(batch["stress"][1], alone[1]["stress"][0]) < EXACT
        assert bool(batch["stress"][[0, 2]].isnan().all())


def test_forces_match_finite_differences(potential: Potential) -> None:
    require(potential, gradient=True)
    numbers, x = molecule()
    forces = evaluate(potential, graph(numbers, x, potential))["forces"]
    h = 1e-4
    for atom, axis in [(0, 0), (2, 1), (8, 2)]:
        energies = []
        for step in (-2 * h, -h, h, 2 * h):
            moved = x.copy()
            moved[atom, axis] += step
            energies.append(float(evaluate(potential, graph(numbers, moved, potential), forces=False)["energy"]))
        a, b, c, d = energies
        slope = (a - 8 * b + 8 * c - d) / (12 * h)
        assert -slope == pytest.approx(float(forces[atom, axis]), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("left_handed", [False, True])
def test_stress_matches_finite_strains(potential: Potential, left_handed: bool) -> None:
    require(potential, stress=True, gradient=True)
    cell = CELL[[1, 0, 2]] if left_handed else CELL
    stress = evaluate(potential, crystal(potential, cell), stress=True)["stress"][0]
    h = 1e-4
    for i, j in [(0, 0), (1, 2), (0, 1)]:
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5
        strain[j, i] += 0.5
        energies = [
            float(evaluate(potential, crystal(potential, cell @ (np.eye(3) + s * strain)), forces=False)["energy"])
            for s in (-2 * h, -h, h, 2 * h)
        ]
        a, b, c, d = energies
        slope = (a - 8 * b + 8 * c - d) / (12 * h) / abs(np.linalg.det(cell))
        assert slope == pytest.approx(float(stress[i, j]), rel=1e-5, abs=1e-7)


def test_an_isolated_atom_has_its_reference_energy(potential: Potential) -> None:
    for i, z in enumerate(ELEMENTS):
        alone = evaluate(potential, graph(np.array([z]), np.zeros((1, 3)), potential))
        assert float(alone["energy"]) == pytest.approx(float(potential.reference_energies[i]), abs=1e-10)
        assert bool((alone["forces"] == 0).all())


def test_two_far_copies_are_twice_one(potential: Potential) -> None:
    numbers, x = molecule()
    one = evaluate(potential, graph(numbers, x, potential))
    two = evaluate(potential, graph(np.tile(numbers, 2), np.concatenate([x, x + 50.0]), potential))
    assert relative(two["energy"], 2 * one["energy"]) < EXACT
    assert relative(two["forces"], torch.cat([one["forces"]] * 2)) < EXACT


def test_a_supercell_has_the_energy_per_atom_of_its_cell(potential: Potential) -> None:
    small = crystal(potential)
    doubled = np.concatenate([small.positions.numpy(), small.positions.numpy() + CELL[0]])
    cell = CELL * np.array([[2.0], [1.0], [1.0]])
    big = graph(np.tile(small.numbers, 2), doubled, potential, cell)
    one, two = (evaluate(potential, g, stress=True) for g in (small, big))
    assert relative(two["energy"], 2 * one["energy"]) < EXACT
    if "stress" in potential.outputs:
        assert relative(two["stress"], one["stress"]) < EXACT


def test_a_one_atom_cell_works(potential: Potential) -> None:
    out = evaluate(potential, graph(np.array([6]), np.zeros((1, 3)), potential, np.eye(3) * 2.2), stress=True)
    # Inversion leaves no force that does not vanish, for whatever respects it.
    assert float(out["forces"].abs().max()) < 1e-12 or not (potential.exact and potential.reflections)
    assert all(bool(value.isfinite().all()) for value in out.values())


def test_energy_and_forces_are_continuous_through_the_cutoff(potential: Potential) -> None:
    def pair(r: float) -> tuple[float, float]:
        out = evaluate(potential, graph(np.array([6, 8]), np.array([[0, 0, 0], [0.0, 0, r]]), potential))
        return float(out["energy"]), float(out["forces"][1, 2])

    inside, outside = pair(potential.cutoff - 1e-4), pair(potential.cutoff + 1e-4)
    # The envelope and two derivatives vanish at the cutoff: energy like h^3, force like h^2.
    assert abs(inside[0] - outside[0]) < 1e-9
    assert abs(inside[1]) < 1e-5
    assert outside[1] == 0.0


def test_saving_and_loading_is_bit_equal(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, potential, training={}, provenance={})
    loaded = load_model(path).potential.requires_grad_(True)
    before, after = (evaluate(p, crystal(potential), stress=True) for p in (potential, loaded))
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_single_precision_agrees_with_double(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, potential, training={}, provenance={})
    single = load_model(path, dtype=torch.float32).potential
    numbers, x = molecule()
    g = graph(numbers, x, potential)
    exact, rounded = evaluate(potential, g), evaluate(single, g)
    assert relative(rounded["forces"], exact["forces"]) < 1e-4
    # Reference energies of thousands of eV must not cost the interaction its digits.
    references = potential.reference_energies[potential.species(g)].sum()
    assert relative(rounded["energy"] - references, exact["energy"] - references) < 1e-4


def test_an_unknown_element_is_refused_by_name(potential: Potential) -> None:
    with pytest.raises(InputError, match="does not know Fe"):
        evaluate(potential, graph(np.array([26, 1]), np.array([[0, 0, 0], [0, 0, 1.5]]), potential))


def test_second_derivatives_train_the_parameters(potential: Potential) -> None:
    numbers, x = molecule()
    out = evaluate(potential, graph(numbers, x, potential), training=True)
    wanted = list(potential.parameters())
    gradients = torch.autograd.grad(out["forces"].square().sum() + out["energy"].sum(), wanted, allow_unused=True)
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is usable here")
def test_cuda_agrees_with_the_cpu(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, potential, training={}, provenance={})
    numbers, x = molecule()
    g = graph(numbers, x, potential)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        cpu, cuda = (load_model(path, device=d, dtype=dtype).potential for d in ("cpu", "cuda"))
        a, b = evaluate(cpu, g), evaluate(cuda, g.clone().to("cuda"))
        assert relative(b["forces"].cpu(), a["forces"]) < tolerance
        assert relative(b["energy"].cpu(), a["energy"]) < tolerance
