from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import make_potential
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials import averaging
from eqcli.models.potentials.averaging import turn
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import FrameAveragedConfig
from eqcli.models.potentials.derive import edge_vectors, evaluate
from tests.rotations import random_rotation

FAENET: dict[str, Any] = {
    "name": "faenet",
    "cutoff": 4.0,
    "hidden_channels": 8,
    "num_filters": 8,
    "num_layers": 2,
    "num_radial_basis": 6,
    "frames": {"mode": "none"},
}
MACE = {"name": "mace", "cutoff": 4.0, "channels": 4, "radial_MLP": (8,), "MLP_irreps": "4x0e"}


def made(backbone: dict[str, Any] = FAENET, **frames: Any) -> Potential:
    torch.manual_seed(0)
    config = FrameAveragedConfig.model_validate({"backbone": backbone, "frames": frames})
    potential = make_potential(config, [1, 6, 8, 14])
    potential.initialise(Statistics(avg_num_neighbors=3.0, shift=0.2, scale=1.5))
    return potential.eval()


def graph(numbers: list[int], x: np.ndarray, cell: np.ndarray | None = None) -> AtomGraph:
    pbc = np.full(3, cell is not None)
    return build_graph(np.array(numbers), x, np.zeros((3, 3)) if cell is None else cell, pbc, 4.0)


def points(seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=1.1, size=(5, 3))


def energy(model: Potential, x: np.ndarray, numbers: tuple[int, ...] = (6, 8, 1, 1, 6)) -> float:
    return float(evaluate(model, graph(list(numbers), x), forces=False)["energy"])


def methane() -> np.ndarray:
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    return np.vstack([np.zeros(3), corners])


def benzene() -> np.ndarray:
    angles = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    return np.vstack([1.4 * ring, 2.48 * ring])


SYMMETRIC = {"methane": ((6, 1, 1, 1, 1), methane()), "benzene": ((6,) * 6 + (1,) * 6, benzene())}


def slope(model: Potential, numbers: tuple[int, ...], x: np.ndarray, atom: int, axis: int, h: float = 1e-4) -> float:
    values = []
    for step in (-2, -1, 1, 2):
        moved = x.copy()
        moved[atom, axis] += step * h
        values.append(energy(model, moved, numbers))
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)


def test_an_equivariant_potential_does_not_change() -> None:
    model = made(MACE)
    batch = batch_graphs([graph([6, 8, 1, 1, 6], points()), graph([6], np.zeros((1, 3)))])
    plain, averaged = evaluate(model.backbone, batch), evaluate(model, batch)
    for name in plain:
        torch.testing.assert_close(averaged[name], plain[name], atol=1e-12, rtol=1e-10)


def test_its_properties_are_averaged_by_their_laws() -> None:
    kinds = ["vector", "dipole", "tensor", "atom-vector", "scalar"]
    heads = {kind.replace("-", "_"): {"kind": kind} for kind in kinds}
    mace = {**MACE, "heads": heads, "channels": 3}
    model, batch = made(mace), batch_graphs([graph([6, 8, 1, 1, 6], points(seed)) for seed in (1, 2)])
    plain, averaged = evaluate(model.backbone, batch), evaluate(model, batch)
    assert set(heads) < set(averaged)
    for name in plain:
        torch.testing.assert_close(averaged[name], plain[name], atol=1e-12, rtol=1e-10)


def test_copies_are_the_structure_in_each_frame() -> None:
    cell = np.array([[3.1, 0.2, 0.0], [0.4, 3.3, 0.1], [0.3, -0.5, 2.9]])
    batch = batch_graphs([graph([6, 8], points()[:2], cell), graph([6, 8, 1, 1, 6], points(1))])
    model = made()
    vectors = edge_vectors(batch, batch.positions, batch.cell)
    turned = turn(batch, vectors, model.average.frames(batch, vectors))
    again = edge_vectors(turned.graph, turned.graph.positions, turned.graph.cell)
    torch.testing.assert_close(again, turned.vectors, atol=1e-13, rtol=0)
    assert turned.graph.n_structures == 16
    assert bool((turned.graph.edge_index[1].diff() >= 0).all())
    assert torch.equal(turned.graph.numbers, batch.numbers[turned.atom])


def test_many_frames_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made()
    batch = batch_graphs([graph([6, 1, 1, 1, 1], methane()), graph([6], np.zeros((1, 3))), graph([6, 8], points()[:2])])
    results = []
    for edges in (averaging.EDGES_AT_ONCE, 1000):
        monkeypatch.setattr(averaging, "EDGES_AT_ONCE", edges)
        calls: list[int] = []
        hook = model.backbone.embed.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        out = evaluate(model, batch, training=True)
        assert (len(calls) > 5) is (edges == 1000)
        hook.remove()
        gradients = torch.autograd.grad(out["forces"].square().sum(), list(model.parameters()), allow_unused=True)
        results.append([out["energy"], out["forces"], *(g for g in gradients if g is not None)])
    for one, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, one, atol=1e-12, rtol=1e-9)


def test_frames_from_positions_are_symmetric_and_have_exact_forces() -> None:
    model = made(**{"from": "positions"})
    matrix = -random_rotation(3).numpy()
    x, numbers = points(), (6, 8, 1, 1, 6)
    assert energy(model, x @ matrix.T + [1.0, 2.0, 3.0]) == pytest.approx(energy(model, x), rel=1e-11)
    forces = evaluate(model, graph(list(numbers), x))["forces"]
    for atom, axis in [(0, 0), (3, 2)]:
        assert -slope(model, numbers, x, atom, axis) == pytest.approx(float(forces[atom, axis]), rel=1e-7)
    # They carry derivatives that no edge has: atoms out of each other's reach turn the frames together.
    far = np.vstack([x, x[:1] + np.array([9.0, 1.0, 0.0])])
    six = (*numbers, 8)
    forces = evaluate(model, graph(list(six), far))["forces"]
    assert float(forces[5].abs().max()) > 1e-9
    assert -slope(model, six, far, 5, 1, 1e-2) == pytest.approx(float(forces[5, 1]), rel=1e-4)


def test_frames_from_positions_refuse_crystals() -> None:
    with pytest.raises(InputError, match="frames from positions are for molecules"):
        evaluate(made(**{"from": "positions"}), graph([6], np.zeros((1, 3)), np.eye(3) * 3))


def test_frames_of_edges_do_not_know_the_cell() -> None:
    cell, x = np.array([[4.1, 0.2, 0.0], [0.4, 4.3, 0.1], [0.3, -0.5, 3.9]]), points()[:2] * 0.6
    model = made()
    forces = evaluate(model, graph([6, 8], x, cell))["forces"]
    skewed = cell.copy()
    skewed[0] += cell[1]
    wrapped = x + np.array([[0, 1, -2], [3, 0, 1]]) @ cell
    torch.testing.assert_close(evaluate(model, graph([6, 8], wrapped, skewed))["forces"], forces, atol=1e-12, rtol=0)


def test_symmetric_molecules_have_energies_that_do_not_turn() -> None:
    """To the quadrature, which its resolution improves; principal axes alone jump."""
    numbers, x = SYMMETRIC["methane"]
    errors = []
    for resolution in (0, 8, 12):
        model = made(resolution=resolution)
        values = [energy(model, x @ random_rotation(seed).numpy().T, numbers) for seed in range(3)]
        errors.append(np.ptp(values) / abs(np.mean(values)))
    assert errors[0] > 1e-3
    assert errors[1] < 0.05 * errors[0]
    assert errors[2] < 0.05 * errors[1]


@pytest.mark.parametrize("name", list(SYMMETRIC))
def test_forces_of_symmetric_molecules_are_gradients(name: str) -> None:
    numbers, x = SYMMETRIC[name]
    for turned in (x, x @ random_rotation(1).numpy().T):
        model = made()
        forces = evaluate(model, graph(list(numbers), turned), training=True)["forces"]
        force = float(forces[1, 0].detach())
        assert -slope(model, numbers, turned, 1, 0, 1e-3) == pytest.approx(force, rel=1e-4, abs=1e-9)
        wanted = list(model.parameters())
        gradients = torch.autograd.grad(forces.square().sum(), wanted, allow_unused=True)
        assert all(g is None or bool(g.isfinite().all()) for g in gradients)


def test_cubic_crystals_have_isotropic_stress() -> None:
    """To the quadrature; from principal axes alone the stress is as anisotropic as it is large."""
    half = 5.43 / 2
    cell = half * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    crystal = graph([14, 14], np.array([[0.0, 0, 0], [half / 2, half / 2, half / 2]]), cell)
    errors = []
    for resolution in (0, 8, 12):
        stress = evaluate(made(resolution=resolution), crystal, stress=True)["stress"][0]
        pressure = stress.trace() / 3
        rest = stress - pressure * torch.eye(3, dtype=torch.float64)
        errors.append(float(rest.abs().max() / pressure.abs()))
    assert errors[0] > 0.1
    assert errors[1] < 0.05 * errors[0]
    assert errors[2] < 0.2 * errors[1]


def test_one_random_frame_in_training_and_all_of_them_after() -> None:
    model, g = made(mode="stochastic"), graph([6, 8, 1, 1, 6], points())
    full = made(mode="full")
    assert model.exact
    assert torch.equal(evaluate(model, g)["energy"], evaluate(full, g)["energy"])

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return evaluate(model.train(), g, training=True)["energy"].detach()

    values = torch.cat([drawn(seed) for seed in range(60)])
    assert torch.equal(drawn(3), values[3:4])
    assert len(set(values.tolist())) == 8
    assert float(values.min()) < float(evaluate(full, g)["energy"]) < float(values.max())


def test_one_frame_at_inference_is_deterministic_and_declared_inexact() -> None:
    model = made(mode="stochastic", inference="one")
    assert not model.exact
    x = points()
    assert energy(model, x) == energy(model, x)
    spread = np.ptp([energy(model, x @ random_rotation(seed).numpy().T) for seed in range(6)])
    assert spread > 1e-8


@pytest.mark.parametrize(
    ("group", "exact", "reflections"), [("O(3)", True, True), ("SO(3)", True, False), ("O(2)", False, False)]
)
def test_groups_declare_what_they_keep(group: str, exact: bool, reflections: bool) -> None:
    model = made(group=group)
    assert (model.exact, model.reflections) == (exact, reflections)
    mirror = np.diag([-1.0, 1.0, 1.0])
    x = points()
    assert (abs(energy(model, x @ mirror) - energy(model, x)) < 1e-12) is (group != "SO(3)")
    assert (abs(energy(model, x @ random_rotation(1).numpy().T) - energy(model, x)) < 1e-12) is exact
    c, s = np.cos(0.7), np.sin(0.7)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    assert energy(model, x @ about_z.T) == pytest.approx(energy(model, x), rel=1e-11)


def test_what_is_inside_passes_its_own_symmetry_on() -> None:
    model = made(MACE, mode="none")
    assert model.exact
    assert model.reflections
