"""How much work a generation is, and what is made of that."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eqcli.engine.model_file import load_model
from eqcli.progress import Silent
from eqcli.tasks.generate import generate
from eqcli.tasks.generate_chunks import prepare
from eqcli.tasks.generate_pilot import GenerationPilot
from eqcli.tasks.generate_request import Generation, GenerationRequest
from eqcli.tasks.stream import dividing
from eqcli.tasks.stream.division import PROCESS_BYTES, WORTH_SECONDS, Place
from tests.listener import Listener
from tests.tasks import generate_molecules_case
from tests.tasks.generate_case import models, one_thread
from tests.tasks.stream.case import assert_same_columns


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = models(tmp_path_factory.mktemp("models"))
    generate_molecules_case.models(folder)
    return folder


def generation(model: Path, **options: Any) -> Generation:
    return prepare(load_model(model), GenerationRequest(**options), [], Silent())


@pytest.mark.parametrize("name", ["dng", "steered", "flow", "edm"])
@pytest.mark.parametrize(("steps", "n", "seconds"), [(100, 20, 100 / 2 / 4), (1, 20, 1 / 4), (10, 2, 10 / 2 / 2)])
def test_a_few_steps_tell_of_all(
    files: Path, monkeypatch: pytest.MonkeyPatch, name: str, steps: int, n: int, seconds: float
) -> None:
    """With a clock on which whatever is measured takes a second."""
    clock = count()
    monkeypatch.setattr("eqcli.tasks.generate_pilot.time", SimpleNamespace(process_time=lambda: next(clock)))
    pace = GenerationPilot(generation(files / f"{name}.safetensors", steps=steps, n=n))([])
    assert pace is not None
    assert pace.seconds == pytest.approx(seconds)
    assert pace.worker_bytes(1) > PROCESS_BYTES["cpu"]


def test_what_cannot_be_made_has_no_pace(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = generation(files / "dng.safetensors", n=20)

    def fails(*args: Any, **options: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(wanted.sampler.model, "sample", fails)
    assert GenerationPilot(wanted)([]) is None


def test_measuring_changes_nothing(files: Path) -> None:
    plain, measured = (generation(files / "dng.safetensors", n=6, seed=2) for _ in range(2))
    GenerationPilot(measured)([])
    for one, other in zip(made(plain), made(measured), strict=True):
        assert np.array_equal(one.positions, other.positions)
    assert plain.sampler.steps == measured.sampler.steps == 4


def made(wanted: Generation) -> list[Any]:
    found = wanted.sampler.sample(wanted.wishes.of(range(len(wanted.wishes))), lambda *_: None)
    return [structure for batch in found for structure in batch]


@pytest.mark.parametrize("worth", [True, False])
def test_workers_where_they_pay(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: bool) -> None:
    """By themselves, on a machine with two cores, to the same file as without."""
    monkeypatch.setattr(dividing, "place_of", lambda *_: Place("cpu", 2, 0, 10**11))
    monkeypatch.setitem(WORTH_SECONDS, "cpu", 0.0 if worth else 1e9)
    report = Listener()
    model, options = files / "dng.safetensors", {"n": 20, "device": "cpu"}
    generate(model, tmp_path / "auto.h5", **options, report=report)
    assert any("2 workers of one thread each" in message for message in report.messages) == worth
    if worth:
        with one_thread():
            generate(model, tmp_path / "alone.h5", **options, workers=1)
        assert_same_columns(tmp_path / "auto.h5", tmp_path / "alone.h5")
