"""What the pilot says of the work ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eqcli.engine.guest import open_guest
from eqcli.engine.model_file import ModelFile
from eqcli.errors import InputError
from eqcli.progress import Silent
from eqcli.tasks import pilot as module
from eqcli.tasks.pilot import MeasuredPace, ModelPilot, shareable
from tests.tasks.stream.case import structure
from tests.toy_model import toy_model

GB = 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Evaluations take a millisecond for each atom, the first ones ten times as long; their atoms are listed."""
    sizes: list[int] = []
    now = [0.0]

    def evaluate(self: ModelPilot, graph: object) -> None:
        assert torch.get_num_threads() == 1
        sizes.append(graph.num_nodes)  # type: ignore[attr-defined]
        now[0] += 1e-3 * sizes[-1] * (10 if len(sizes) == 1 else 1)

    monkeypatch.setattr(ModelPilot, "_evaluate", evaluate)
    monkeypatch.setattr(module.time, "process_time", lambda: now[0])
    return sizes


def test_the_first_evaluation_does_not_count(clock: list[int]) -> None:
    pace = ModelPilot(toy_model(), evaluations=7)([structure(n) for n in range(200)])
    assert pace is not None
    assert pace.seconds == pytest.approx(7e-3)
    assert len(set(clock)) == 1
    assert 200 < clock[0] <= 256


def test_one_that_is_long_is_not_repeated(clock: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORT_SECONDS", 0.01)
    assert ModelPilot(toy_model())([structure(n) for n in range(200)]) is not None
    assert len(clock) == 1


def test_structures_that_cannot_be_evaluated_are_passed_over(clock: list[int]) -> None:
    mixed = [structure(0, element=26), replace(structure(1), numbers=np.zeros(0, int), positions=np.zeros((0, 3)))]
    assert ModelPilot(toy_model())(mixed) is None
    assert ModelPilot(toy_model())([]) is None
    assert clock == []
    assert ModelPilot(toy_model())([*mixed, structure(2)]) is not None
    assert set(clock) == {len(structure(2))}


def test_what_fails_in_the_pilot_is_left_to_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise InputError("broken")

    monkeypatch.setattr(ModelPilot, "_evaluate", fails)
    before = torch.get_num_threads()
    assert ModelPilot(toy_model())([structure(2)]) is None
    assert torch.get_num_threads() == before


def test_a_real_evaluation_changes_nothing_about_threads() -> None:
    before = torch.get_num_threads()
    pace = ModelPilot(toy_model(), stress=False)([structure(n) for n in range(9)])
    assert pace is not None
    assert 0 < pace.seconds < 1
    assert torch.get_num_threads() == before


def test_large_structures_need_memory_of_their_own() -> None:
    pace = MeasuredPace(seconds=1e-3, bytes=1e6, fixed=GB)
    assert pace.worker_bytes(10) == pace.worker_bytes(20) < 1.5 * GB
    assert pace.worker_bytes(4000) > 10 * GB


@pytest.mark.parametrize(("attribute", "expected"), [(None, True), ("command", False), ("write_input", False)])
def test_calculators_that_run_programs_are_not_shared_unasked(
    attribute: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    guest = open_guest("ase:ase.calculators.emt:EMT", {}, device="auto", precision=None, report=Silent())
    if attribute is not None:
        setattr(guest.potential._calculator[0], attribute, "run")  # type: ignore[union-attr]
    assert shareable(guest) is expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not shareable(guest)


def test_compiled_models_and_generators_are_not_shared_unasked() -> None:
    compiled = toy_model()
    compiled.potential.compute = lambda *given: None  # type: ignore[method-assign]
    assert not shareable(compiled)
    assert ModelPilot(compiled)([structure(2)]) is None
    assert ModelPilot(ModelFile(toy_model().model, {"family": "generators"}))([structure(2)]) is None
