"""Tasks from files to files with `device="cuda"` on the pretended device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._pytree import tree_leaves

from eqcli.engine.training_module import TrainingModule
from eqcli.errors import InputError
from eqcli.io import read_structures
from eqcli.io.structure import Structure
from eqcli.models.potentials.config import POTENTIALS
from eqcli.recipe.schema import TrainRecipe
from eqcli.tasks.motion_request import motion_settings
from eqcli.tasks.move import move
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from eqcli.tasks.train import train
from tests.engine.training_case import isolated_atoms, make_recipe, molecules, write
from tests.pretended.device import pretending
from tests.pretended.tensor import OnDevice
from tests.pretended.waits import Waits
from tests.toy import ToyConfig
from tests.toy_model import register_toy, save_toy


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and structures."""
    register_toy(monkeypatch)
    save_toy(tmp_path / "model.safetensors")
    write(tmp_path / "frames.h5", molecules(6))
    return tmp_path


def same(found: list[Structure], expected: list[Structure]) -> None:
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-9)
        assert np.allclose(one.positions, other.positions, rtol=0, atol=1e-9)
        assert one.forces is not None
        assert other.forces is not None
        assert np.allclose(one.forces, other.forces, rtol=0, atol=1e-9)


def written(here: Path, task: str, device: str) -> list[Structure]:
    """What a task writes when it computes there."""
    model, inputs, output = here / "model.safetensors", [here / "frames.h5"], here / f"{task}-{device}.h5"
    if task == "predict":
        result: Any = predict(model, inputs, output, device=device)
    elif task == "relax":
        result = relax(model, inputs, output, device=device, steps=10)
    else:
        settings = motion_settings("nvt", time_step="0.5fs", steps=6, every=3, temperature=300.0)
        result = move(model, inputs, output, settings, device=device)
    assert not result.failures
    return list(read_structures(output))


@pytest.mark.parametrize("task", ["predict", "relax", "move"])
def test_structures(here: Path, task: str) -> None:
    expected = written(here, task, "cpu")
    with pretending():
        found = written(here, task, "cuda")
    same(found, expected)


def recipe(data: Path, **training: Any) -> TrainRecipe:
    return make_recipe(data, training={"max_epochs": 2, "schedule": {"name": "constant"}, **training})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "frames.h5", molecules(24) + isolated_atoms())


def test_a_training_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path, device: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With averaged weights, clipped gradients and checkpoints; on the device from the first step to the last."""
    monkeypatch.setitem(POTENTIALS, "toy", ("tests.toy", "ToyPotential", ToyConfig))
    seen, plain = [], TrainingModule.training_step

    def step(self: TrainingModule, *arguments: Any) -> None:
        plain(self, *arguments)
        weights = [*self.model.parameters(), *tree_leaves(self.average.state_dict())]
        seen.append(all(isinstance(w, OnDevice) for w in weights if isinstance(w, torch.Tensor)))

    monkeypatch.setattr(TrainingModule, "training_step", step)
    settings = {"ema": 0.9, "gradient_clip": 1.0}
    train(recipe(data, **settings), tmp_path / "run", device="cuda")
    train(recipe(data, **settings, max_epochs=4), tmp_path / "run", device="cuda", resume=True)
    whole = train(recipe(data, **settings, max_epochs=4), tmp_path / "whole", device="cuda")
    assert seen
    assert all(seen)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert np.isfinite(whole.metrics["test"]["forces_mae"])


def test_there_is_one_device_and_no_more(here: Path, device: Waits) -> None:
    with pytest.raises(InputError, match="devices"):
        train(recipe(here / "frames.h5"), here / "run", device="cuda", devices=2)
