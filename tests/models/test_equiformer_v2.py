"""What is special about EquiformerV2 and eSCN, beside the contract of all potentials."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from eqcli.audit.gwl import gwl_tests
from eqcli.engine.model_file import make_potential
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import POTENTIALS, EquiformerV2Config, ESCNConfig
from eqcli.models.potentials.derive import evaluate
from tests.rotations import random_rotation

NAMES = ["equiformer-v2", "escn"]
PUBLISHED: dict[str, Any] = {
    "channels": 128,
    "num_heads": 8,
    "attn_hidden_channels": 64,
    "attn_alpha_channels": 64,
    "attn_value_channels": 16,
    "ffn_hidden_channels": 128,
    "edge_channels": 128,
    "num_radial_basis": 600,
    "cutoff": 12.0,
    "activation": "s2-grid",
    "forces": "direct",
    "parity": False,
}


def make(name: str, **options: Any) -> Potential:
    torch.manual_seed(0)
    small = {"name": name, "cutoff": 4.0, "channels": 8, "edge_channels": 16, "num_radial_basis": 8, **options}
    made = make_potential(POTENTIALS[name][2].model_validate(small), [1, 6, 8])
    made.initialise(Statistics(avg_num_neighbors=8.0, shift=0.0, scale=1.0))
    return made.double().eval()


def molecule(
    potential: Potential, turn: Tensor | None = None, moved: tuple[int, int, float] | None = None
) -> AtomGraph:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(range(3), range(2), range(1)), -1).reshape(-1, 3) * 1.3
    x = grid + rng.normal(scale=0.25, size=(6, 3))
    if moved is not None:
        x[moved[0], moved[1]] += moved[2]
    if turn is not None:
        x = x @ turn.numpy().T
    return build_graph(np.array([6, 6, 8, 1, 1, 8]), x, np.zeros((3, 3)), np.zeros(3, dtype=bool), potential.cutoff)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def slope_error(potential: Potential) -> float:
    """Of the forces against finite differences, along x and z: no edge rolls when an atom moves along y."""
    forces, h, worst = evaluate(potential, molecule(potential))["forces"], 1e-3, 0.0
    for atom, axis in [(0, 0), (2, 2), (5, 0)]:
        a, b, c, d = (
            float(evaluate(potential, molecule(potential, moved=(atom, axis, step)), forces=False)["energy"])
            for step in (-2 * h, -h, h, 2 * h)
        )
        worst = max(worst, abs((a - 8 * b + 8 * c - d) / (12 * h) + float(forces[atom, axis])))
    return worst / float(forces.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "lmax", "mmax", "millions"), [(8, 4, 2, 31), (12, 6, 2, 83)])
def test_published_sizes_have_the_published_number_of_parameters(
    layers: int, lmax: int, mmax: int, millions: int
) -> None:
    config = EquiformerV2Config(num_layers=layers, lmax=lmax, mmax=mmax, **PUBLISHED)
    count = sum(p.numel() for p in make_potential(config, list(range(1, 91))).parameters())
    assert round(count / 1e6) == millions


@pytest.mark.parametrize("name", NAMES)
def test_leaving_out_what_scalars_do_not_see_changes_nothing(name: str) -> None:
    # A head makes the model keep all degrees to the end; the energy has the same weights all the same.
    heads = {"heads": {"mu": {"kind": "vector"}}}
    lean, full = make(name), make(name, **heads)
    kept = full.state_dict()
    for key, value in lean.state_dict().items():
        # What scalars see stands first in every dimension.
        value.copy_(kept[key][tuple(slice(0, n) for n in value.shape)])
    found, expected = (evaluate(p, molecule(p)) for p in (lean, full))
    assert relative(found["energy"], expected["energy"]) < 1e-12
    assert relative(found["forces"], expected["forces"]) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_the_error_of_the_grid_falls_with_its_resolution(name: str) -> None:
    errors, turn = [], random_rotation(1)
    for resolution in (4, 8, 16):
        potential = make(name, activation="s2-grid", grid_resolution=resolution)
        assert not potential.exact
        before, after = (evaluate(potential, molecule(potential, r)) for r in (None, turn))
        errors.append(relative(after["forces"], before["forces"] @ turn.T))
    assert errors[0] > 1e-5
    assert all(finer < coarser / 5 for coarser, finer in pairwise(errors))


def test_on_a_grid_forces_are_the_gradient_up_to_its_error() -> None:
    # Derivatives take the frame of an edge to roll freely, which functions on a grid feel.
    coarse, fine = (slope_error(make("equiformer-v2", activation="s2-grid", grid_resolution=n)) for n in (4, 16))
    assert coarse > 1e-5
    assert fine < coarse / 100


@pytest.mark.parametrize("name", NAMES)
def test_gates_leave_no_error(name: str) -> None:
    assert slope_error(make(name)) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_complex_weights_tell_mirror_images_apart_and_real_ones_do_not(name: str) -> None:
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    for parity in (True, False):
        potential = make(name, parity=parity, num_layers=3)
        one, other = (evaluate(potential, molecule(potential, turn), forces=False)["energy"] for turn in (None, mirror))
        assert (relative(one, other) < 1e-12) == parity == potential.reflections


def test_dropping_is_for_training_alone() -> None:
    potential = make("equiformer-v2", alpha_drop=0.3, drop_path=0.3)
    same = [evaluate(potential, molecule(potential))["energy"] for _ in range(2)]
    assert torch.equal(*same)
    potential.train()
    torch.manual_seed(1)
    first, second = (evaluate(potential, molecule(potential))["energy"] for _ in range(2))
    torch.manual_seed(1)
    assert not torch.equal(first, second)
    assert torch.equal(first, evaluate(potential, molecule(potential))["energy"])


def test_the_published_epsilon_magnifies_what_symmetry_forbids_and_the_default_does_not() -> None:
    def stiffness(epsilon: float, step: float) -> float:
        """Force over displacement of an atom that left the centre of inversion."""
        potential = make("equiformer-v2", norm_epsilon=epsilon)
        x = np.array([[0, 0, step], [1.2, 0, 0], [-1.2, 0, 0], [0, 1.2, 0], [0, -1.2, 0], [0, 0, 1.2], [0, 0, -1.2]])
        g = build_graph(np.array([6] + [8] * 6), x, np.zeros((3, 3)), np.zeros(3, dtype=bool), potential.cutoff)
        return float(evaluate(potential, g)["forces"][0, 2]) / step

    def change(epsilon: float) -> float:
        return abs(stiffness(epsilon, 1e-3) / stiffness(epsilon, 1e-5) - 1.0)

    default = EquiformerV2Config().norm_epsilon
    assert change(default) < 0.05
    assert change(1e-5) > 0.5


@pytest.mark.parametrize(("name", "layers"), [("equiformer-v2", 3), ("escn", 3)])
def test_theory_and_measurement_agree_on_what_can_be_told_apart(name: str, layers: int) -> None:
    results = gwl_tests(make(name, num_layers=layers), seeds=2)
    assert [r.pair.key for r in results if not r.agrees] == []
    assert {r.passed for r in results} == {True, False}


@pytest.mark.parametrize("config", [ESCNConfig, EquiformerV2Config])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lmax": 1, "mmax": 2}, "above lmax"),
        ({"lmax": 0, "mmax": 0, "forces": "direct"}, "need vectors"),
        ({"energy": False, "forces": "direct", "heads": {"mu": {"kind": "vector"}}}, "beside an energy"),
    ],
)
def test_impossible_sizes_are_refused(config: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**options)
