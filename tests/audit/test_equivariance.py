"""The audit of functions with declared laws: sound layers are exact, and each broken one is caught in its way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.audit.character import DRAWS, in_expectation
from eqcli.audit.equivariance import audit_map
from eqcli.audit.laws import Motion, law, representation
from eqcli.audit.result import Check
from eqcli.audit.transforms import random_rotation
from eqcli.geometry.irreps import Irreps
from tests.audit import layers
from tests.audit.layers import Layer


def audited(layer: Layer, **options: object) -> dict[str, Check]:
    checks = audit_map(layer.function, layer.arguments, [layer.output], **options)  # type: ignore[arg-type]
    return {check.key: check for check in checks}


SOUND = [layers.sound, lambda: layers.in_a_frame(1.0)]


@pytest.mark.parametrize("make", SOUND)
def test_sound_layers_are_exact(make) -> None:  # type: ignore[no-untyped-def]
    checks = audited(make())
    assert {"rotation", "reflection", "permutation"} <= checks.keys()
    assert all(check.passed for check in checks.values())
    assert {check.figures["character"] for check in checks.values()} == {"exact"}


CASES = {
    "wrong sign in a Wigner matrix": (lambda: layers.in_a_frame(-1.0), {"rotation", "reflection"}, 1e-1),
    "rounded constants": (layers.rounded_constants, {"rotation", "reflection"}, 1e-9),
    "hidden axis": (layers.hidden_axis, {"rotation", "reflection"}, 1e-10),
    "wrong parity": (layers.wrong_parity, {"reflection"}, 1.0),
    "sphere grid": (layers.on_a_grid, {"rotation", "reflection"}, 1e-6),
    "origin of space": (layers.far_from_home, {"translation"}, 1e-1),
    "order of atoms": (layers.first_atom, {"permutation"}, 1e-1),
}


@pytest.mark.parametrize("name", CASES)
def test_broken_layers_are_caught_in_their_way(name: str) -> None:
    make, expected, least = CASES[name]
    checks = audited(make())
    assert {key for key, check in checks.items() if not check.passed} == expected
    for key in expected:
        assert checks[key].figures["character"] == "approximate"
        assert checks[key].value > least


def test_rounded_constants_show_their_size() -> None:
    value = audited(layers.rounded_constants())["rotation"].value
    assert 1e-9 < value < 1e-6


def test_a_finer_grid_is_nearer_to_equivariant() -> None:
    coarse, fine = (audited(layers.on_a_grid(points))["rotation"].value for points in (50, 800))
    assert fine < coarse / 3


def test_equivariant_in_expectation() -> None:
    check = audited(layers.stochastic_frame())["rotation"]
    assert not check.passed
    assert check.figures["character"] == "in expectation"
    found = check.figures["expectation"]
    assert found["exponent"] == pytest.approx(-0.5, abs=0.15)
    assert found["bias"] < 2
    assert found["error_of_mean"][-1] < found["error_of_mean"][0] / 4
    assert "in expectation" in check.found


def test_a_mean_that_is_wrong_is_no_expectation() -> None:
    check = audited(layers.stochastic_frame(bias=0.2))["rotation"]
    assert check.figures["character"] == "approximate"
    assert check.figures["expectation"]["bias"] > 2


def test_error_of_the_mean_follows_the_law() -> None:
    rng = np.random.default_rng(0)
    fair = in_expectation(rng.normal(size=(DRAWS, 40)))
    assert fair.kind == "in expectation"
    assert fair.exponent == pytest.approx(-0.5, abs=0.1)
    assert fair.bias == pytest.approx(1.0, abs=0.4)
    assert in_expectation(rng.normal(size=(DRAWS, 40)) + 0.3).kind == "approximate"


def test_so3_layers_are_not_asked_for_reflections() -> None:
    checks = audited(layers.wrong_parity(), proper=True)
    assert "reflection" not in checks
    assert all(check.passed for check in checks.values())


def test_single_precision_has_its_own_limit() -> None:
    layer = layers.sound()
    layer.values = [value.float() for value in layer.values]
    checks = audited(layer)
    assert checks["rotation"].passed
    assert 1e-9 < checks["rotation"].value < 1e-5
    assert checks["rotation"].precision == "float32"


def test_outputs_without_a_law_are_refused() -> None:
    layer = layers.sound()
    with pytest.raises(ValueError, match="laws for 2"):
        audit_map(layer.function, layer.arguments, [layer.output, layer.output])


def test_laws_by_kind() -> None:
    rng = np.random.default_rng(0)
    rotation = random_rotation(rng)
    proper, mirror = Motion(rotation, shift=np.array([1.0, 2, 3])), Motion(-rotation)
    x = rng.normal(size=(4, 3))
    tensor = rng.normal(size=(3, 3))
    assert law("vector").act(proper, x) == pytest.approx(x @ rotation.T)
    assert law("point").act(proper, x) == pytest.approx(x @ rotation.T + [1, 2, 3])
    assert law("vector").act(mirror, x) == pytest.approx(-x @ rotation.T)
    assert law("pseudovector").act(mirror, x) == pytest.approx(x @ rotation.T)
    assert law("pseudoscalar").act(mirror, x) == pytest.approx(-x)
    assert law("scalar").act(mirror, x) == pytest.approx(x)
    assert law("tensor").act(mirror, tensor) == pytest.approx(rotation @ tensor @ rotation.T)
    cross = law("pseudovector").act(mirror, np.cross(x[0], x[1]))
    assert cross == pytest.approx(np.cross(*law("vector").act(mirror, x[:2])))


def test_law_of_spherical_tensors_is_that_of_the_project() -> None:
    rng = np.random.default_rng(0)
    rotation = random_rotation(rng)
    vectors = rng.normal(size=(2, 3, 4))
    flat = vectors.reshape(2, 12)
    turned = law("4x1o").act(Motion(rotation), flat).reshape(2, 3, 4)
    assert turned == pytest.approx(np.einsum("ij,njc->nic", rotation, vectors))
    several = Irreps("2x0o+3x2e+1x3e")
    values = rng.normal(size=(5, several.dim))
    mirrored = law(str(several)).act(Motion(-rotation), values)
    plain = law(str(several)).act(Motion(rotation), values)
    odd = np.concatenate([-np.ones(2), np.ones(15 + 7)])
    assert mirrored == pytest.approx(plain * odd, abs=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 4, 8])
def test_representations_are_orthogonal_and_multiply(degree: int) -> None:
    rng = np.random.default_rng(degree)
    first, second = random_rotation(rng), random_rotation(rng)
    a, b, both = (representation(r, degree) for r in (first, second, first @ second))
    assert a @ a.T == pytest.approx(np.eye(2 * degree + 1), abs=1e-12)
    assert a @ b == pytest.approx(both, abs=1e-12)


def test_names_of_laws() -> None:
    assert str(law("3x1o", per_atom=True)) == "3x1o per atom"
    assert law("0o").sees_handedness
    assert not law("1e").sees_handedness
    assert not law("2x10o").sees_handedness
    with pytest.raises(ValueError, match="vectr"):
        law("vectr")


def test_several_outputs_are_judged_each_by_its_law() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    laws = [law("scalar", per_atom=True), law("pseudovector", per_atom=True)]

    def both(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (a * b).sum(dim=1), torch.linalg.cross(a, b)

    inputs = [(x, law("vector", per_atom=True)), (x.flip(0), law("vector", per_atom=True))]
    assert all(check.passed for check in audit_map(both, inputs, laws))
    checks = {check.key: check for check in audit_map(both, inputs, [laws[0], law("vector", per_atom=True)])}
    outputs = checks["reflection"].figures["outputs"]
    assert outputs["0: scalar per atom"] < 1e-12
    assert outputs["1: vector per atom"] > 1
