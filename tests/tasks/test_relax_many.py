"""Relaxations of many structures by a model file: together, and going on where they were stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.engine.model_file import save_model
from eqcli.engine.relaxation import RelaxSettings
from eqcli.io.structure import Structure
from eqcli.progress import Silent
from eqcli.tasks import snapshot_clock
from eqcli.tasks.relax_many import PARTS, Relaxer, forget, relax_many
from tests.engine.test_relaxation import fcc, rattled
from tests.tasks.test_relax import Stop
from tests.toy_model import register_toy, toy_model


@pytest.fixture
def relaxer(tmp_path, monkeypatch) -> Relaxer:
    register_toy(monkeypatch)
    monkeypatch.setattr(snapshot_clock, "SHORTEST", 0.0)
    monkeypatch.setattr(snapshot_clock, "SHARE", 1e9)
    potential = toy_model().potential
    potential.width.fill_(4.0)
    save_model(tmp_path / "model.safetensors", potential, training={"recipe": {"name": "toy"}}, provenance={})
    return Relaxer(str(tmp_path / "model.safetensors"), RelaxSettings(steps=30, cell="full"), device="cpu")


def given() -> list[Structure]:
    lost = Structure([6], [[np.nan, 0, 0]], np.eye(3) * 2.0, True)
    return [rattled(0), lost, fcc(2.3), rattled(1)]


def outcomes(relaxer: Relaxer, folder: Path, report=None):
    return relax_many(given(), relaxer, folder, workers=None, timeout=None, report=report or Silent())


def test_each_is_relaxed_or_has_a_reason(relaxer, tmp_path):
    found = outcomes(relaxer, tmp_path / "study")
    assert [outcome.value is not None for outcome in found] == [True, False, True, True]
    assert found[1].failure
    for outcome in (found[0], found[2], found[3]):
        assert outcome.value.info["start_energy"] > outcome.value.energy
        assert outcome.value.info["relax_steps"] > 0
    forget(tmp_path / "study")
    assert not list((tmp_path / "study").glob(f"{PARTS}*"))


def test_what_was_stopped_goes_on_to_the_same_end(relaxer, tmp_path):
    whole = outcomes(relaxer, tmp_path / "whole")
    for after in (9, 14):
        with pytest.raises(KeyboardInterrupt):
            outcomes(relaxer, tmp_path / "study", Stop(after))
    found = outcomes(relaxer, tmp_path / "study")
    assert [outcome.failure for outcome in found] == [outcome.failure for outcome in whole]
    for one, other in zip(found, whole, strict=True):
        if other.value is not None:
            assert one.value.positions.tobytes() == other.value.positions.tobytes()
            assert one.value.info == other.value.info
