"""Every audit passes a sound potential and fails the potential that breaks its property, and no other claim."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eqcli.audit.result import AuditReport
from eqcli.audit.run import choose, run_audit
from eqcli.audit.tolerances import TOLERANCES
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from tests.audit import broken
from tests.toy import ToyPotential


@pytest.fixture(scope="module", params=["float32", "float64"])
def sound(request: pytest.FixtureRequest) -> AuditReport:
    potential = ToyPotential().to(getattr(torch, request.param))
    return run_audit(potential, [broken.molecule(), broken.crystal()], seed=3)


def test_sound_potential_passes_every_check(sound: AuditReport) -> None:
    assert sound.passed
    assert sound.findings == []
    assert {check.key for check in sound.checks} == {key for key, t in TOLERANCES.items() if t.group != "expressivity"}


def test_float64_errors_are_rounding(sound: AuditReport) -> None:
    for key in ("rotation", "reflection", "translation", "permutation", "periodicity", "extensivity"):
        check = sound.check(key)
        assert check is not None
        assert check.value < 1e-12
        assert check.precision == "float64"


def test_run_precision_is_measured_as_run(sound: AuditReport) -> None:
    check = sound.check("run_symmetry")
    assert check is not None
    assert check.precision == sound.precision
    if sound.precision == "float32":
        assert 1e-9 < check.value < 1e-4


def test_report_is_plain_json(sound: AuditReport) -> None:
    assert json.loads(json.dumps(sound.as_dict(), allow_nan=False))["passed"] is True


def test_same_seed_same_figures() -> None:
    first, second = (run_audit(ToyPotential(), [broken.molecule()], seed=5) for _ in range(2))
    assert [check.value for check in first.checks] == [check.value for check in second.checks]
    other = run_audit(ToyPotential(), [broken.molecule()], seed=6)
    assert [check.value for check in first.checks] != [check.value for check in other.checks]


EVERYWHERE = {"rotation", "reflection"}
COPIES = {"extensivity", "supercell"}

CASES = {
    "Directional": (EVERYWHERE, set()),
    "Handed": ({"reflection"}, {"handedness"}),
    # What depends on the place in space or in the cell is on no neighbour's gradient either.
    "Anchored": ({"translation", "periodicity", "origin", *COPIES}, set()),
    "PreferredCell": ({"translation", "periodicity", "origin", "acoustic", *COPIES}, set()),
    "Ordered": (
        {"permutation", "periodicity", "cutoff_energy", "cutoff_forces", *COPIES},
        {"run_symmetry", "cutoff_curvature", "time_step"},
    ),
    "OneImage": (COPIES, set()),
    "SumOfSquares": (COPIES, set()),
    "NotAGradient": ({"forces_fd", "stress_fd"}, {"time_step"}),
    "HardCutoff": ({"cutoff_energy", "cutoff_forces"}, {"time_step"}),
    "Kinked": ({"cutoff_forces"}, set()),
    "LonelyEnergy": ({"isolated"}, set()),
    # Displaced and moved structures are evaluated in batches of several sizes.
    "Averaging": ({"batch", "forces_fd", "hessian", "origin"}, set()),
    "Restless": (set(), {"determinism"}),
    "Fragile": ({"isolated", "batch"}, set()),
    "Attractive": (set(), {"dimer_repulsion", "drift", "time_step"}),
    "StochasticFrame": (
        {*EVERYWHERE, "origin", "batch", "forces_fd", "stress_fd", "hessian"},
        {"determinism", "run_symmetry", "time_step"},
    ),
    "Gridded": (EVERYWHERE, {"run_symmetry", "handedness"}),
    "EnergyOnly": (set(), set()),
    "swirling": ({"forces_fd", "hessian", "acoustic"}, {"drift", "time_step"}),
    "wrong_stress_sign": ({"stress_fd"}, set()),
}
"""Fixture -> the claims that fail, and the findings, on a molecule and a crystal."""


@pytest.mark.parametrize("name", CASES)
def test_broken_property_is_found_by_each_check_that_concerns_it(name: str) -> None:
    failed, findings = CASES[name]
    audit = run_audit(getattr(broken, name)(), [broken.molecule(), broken.crystal()])
    assert {check.key for check in audit.failed} == failed
    assert {check.key for check in audit.findings} == findings
    assert audit.passed is not bool(failed)


def test_every_fixture_is_in_the_table() -> None:
    potentials = {name for name, value in vars(broken).items() if isinstance(value, type)}
    assert {name for name in potentials if issubclass(getattr(broken, name), ToyPotential)} - {"ToyPotential"} == (
        CASES.keys() - {"swirling", "wrong_stress_sign"} | {"Explosive"}
    )


def test_size_of_a_wrong_stress_sign() -> None:
    audit = run_audit(broken.wrong_stress_sign(), [broken.crystal()], groups=["conservation"])
    check = audit.check("stress_fd")
    assert check is not None
    assert check.value == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "character"),
    [("Restless", "exact"), ("Gridded", "approximate"), ("StochasticFrame", "in expectation")],
)
def test_character_of_a_symmetry(name: str, character: str) -> None:
    audit = run_audit(getattr(broken, name)(), [broken.molecule()], groups=["equivariance"])
    check = audit.check("rotation")
    assert check is not None
    assert check.figures["character"] == character
    if character == "in expectation":
        assert check.figures["expectation"]["exponent"] == pytest.approx(-0.5, abs=0.15)


def test_groups_make_their_checks_and_no_others() -> None:
    made = set()
    for group in ("equivariance", "conservation", "smoothness", "extensivity"):
        audit = run_audit(ToyPotential(), [broken.molecule(), broken.crystal()], groups=[group])
        keys = {check.key for check in audit.checks}
        assert {TOLERANCES[key].group for key in keys} == {group, ""}
        assert audit.groups == [group]
        made |= keys
    assert made == {key for key, limit in TOLERANCES.items() if limit.group != "expressivity"}


def test_a_model_without_forces_is_refused_where_forces_are_needed() -> None:
    for group in ("conservation", "smoothness"):
        with pytest.raises(InputError, match="needs forces, and this model gives energy alone") as caught:
            run_audit(broken.EnergyOnly(), [broken.molecule()], groups=["extensivity", group])
        assert "--audit equivariance,extensivity" in caught.value.hint
    audit = run_audit(broken.EnergyOnly(), [broken.molecule()])
    assert audit.groups == ["equivariance", "extensivity"]
    assert all(check.figures.get("forces") is None for check in audit.checks)
    assert audit.worst_rotations[0]["atom"] is None


def test_expressivity_needs_a_potential_with_layers() -> None:
    with pytest.raises(InputError, match="number of layers") as caught:
        run_audit(ToyPotential(), [broken.molecule()], groups=["expressivity"])
    assert "--audit equivariance,conservation" in caught.value.hint


def test_nonfinite_output_names_its_place() -> None:
    near = broken.molecule()
    near.positions[4] = near.positions[3] + [0.0, 0.0, 0.7]
    audit = run_audit(broken.Explosive(), [near])
    finite = audit.check("finite")
    assert finite is not None
    assert not finite.passed
    assert any("energy" in place for place in finite.nonfinite)
    json.dumps(audit.as_dict(), allow_nan=True)


def test_model_that_raises_fails_the_check_and_the_others_go_on() -> None:
    audit = run_audit(broken.Fragile(), [broken.molecule()])
    isolated = audit.check("isolated")
    assert isolated is not None
    assert isolated.error == "RuntimeError: no edges"
    assert audit.check("drift") is not None


def test_unknown_elements_are_listed_as_failures() -> None:
    gold = Structure(np.array([79, 79]), np.array([[0.0, 0, 0], [2.5, 0, 0]]))
    audit = run_audit(ToyPotential(), [gold, broken.molecule()])
    assert len(audit.failures) == 1
    assert "does not know Au; it was made for H, C, O" in audit.failures[0].reason
    assert len(audit.structures) == 1


def test_symmetric_structures_are_rattled() -> None:
    cubic = Structure(np.array([6]), np.zeros((1, 3)), 2.5 * np.eye(3), np.ones(3))
    audit = run_audit(ToyPotential(), [cubic])
    finite = audit.check("finite")
    assert finite is not None
    assert finite.figures["rattled"] == 1


def test_audit_leaves_the_potential_as_it_was() -> None:
    potential = ToyPotential()
    before = {key: value.clone() for key, value in potential.state_dict().items()}
    run_audit(potential, [broken.molecule()])
    assert potential.dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in potential.state_dict().items())


def test_choice_prefers_small_and_different_structures() -> None:
    def chain(n: int, z: int) -> Structure:
        return Structure(np.full(n, z), np.arange(3 * n).reshape(n, 3) * 1.0)

    chosen = choose([chain(100, 6), chain(5, 6), chain(5, 6), chain(1, 8), chain(6, 8)], 2, seed=0)
    assert sorted(len(structure) for structure in chosen) == [5, 6]
    assert [len(s) for s in choose([chain(200, 6), chain(100, 6)], 1, seed=0)] == [100]


def test_a_model_of_rotations_alone_is_not_asked_for_reflections() -> None:
    """The same handed potential fails where it claims mirror images and passes where it does not."""
    potential = broken.Handed()
    assert not run_audit(potential, [broken.molecule()], groups=["equivariance"]).passed
    potential.reflections = False
    audit = run_audit(potential, [broken.molecule()], groups=["equivariance"])
    assert audit.passed
    assert audit.check("reflection") is None
    assert audit.check("rotation") is not None
