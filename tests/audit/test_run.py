"""Every audit passes a sound potential and fails the potential that breaks its property, and no other claim."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eqcli.audit.result import AuditReport
from eqcli.audit.run import choose, run_audit
from eqcli.audit.tolerances import TOLERANCES
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


CASES = [
    (broken.Directional, "both", {"rotation", "reflection"}),
    (broken.Handed, "molecule", {"reflection"}),
    (broken.Anchored, "molecule", {"translation", "extensivity"}),
    (broken.Ordered, "molecule", {"permutation", "cutoff_energy", "cutoff_forces"}),
    (broken.OneImage, "crystal", {"extensivity", "supercell"}),
    (broken.NotAGradient, "both", {"forces_fd", "stress_fd"}),
    (broken.HardCutoff, "molecule", {"cutoff_energy", "cutoff_forces"}),
    (broken.Kinked, "molecule", {"cutoff_forces"}),
    (broken.LonelyEnergy, "molecule", {"isolated"}),
    (broken.Averaging, "molecule", {"batch"}),
    (broken.SumOfSquares, "both", {"extensivity", "supercell"}),
    (broken.Fragile, "molecule", {"isolated", "batch"}),
]


@pytest.mark.parametrize(("potential", "which", "expected"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_broken_property_is_found(potential: type[ToyPotential], which: str, expected: set[str]) -> None:
    structures = {"molecule": [broken.molecule()], "crystal": [broken.crystal()]}
    structures["both"] = structures["molecule"] + structures["crystal"]
    audit = run_audit(potential(), structures[which])
    assert {check.key for check in audit.failed} == expected
    assert not audit.passed


def test_wrong_stress_sign_is_found() -> None:
    audit = run_audit(broken.wrong_stress_sign(ToyPotential()), [broken.crystal()])
    assert {check.key for check in audit.failed} == {"stress_fd"}
    check = audit.check("stress_fd")
    assert check is not None
    assert check.value == pytest.approx(2.0, rel=1e-6)


def test_hidden_gradient_shows_in_dynamics() -> None:
    audit = run_audit(broken.NotAGradient(), [broken.molecule()])
    assert "time_step" in {check.key for check in audit.findings}


def test_noise_is_a_finding_and_no_failure() -> None:
    audit = run_audit(broken.Restless().double(), [broken.molecule()])
    assert "determinism" in {check.key for check in audit.findings}
    assert audit.passed


def test_attraction_at_short_range_is_a_finding() -> None:
    audit = run_audit(broken.Attractive(), [broken.molecule()])
    assert "dimer_repulsion" in {check.key for check in audit.findings}
    assert audit.passed


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
    assert "Au" in audit.failures[0].reason
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
