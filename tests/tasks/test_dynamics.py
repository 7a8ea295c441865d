"""Models of motion from recipe to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from eqcli.audit.motion import audit_motion
from eqcli.data.particles import ParticleSet
from eqcli.engine.model_families import make_dynamics
from eqcli.engine.model_file import load_model
from eqcli.engine.training_callbacks import Interrupted, StepReport
from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.errors import ErrorGroup, ExitCode, InputError
from eqcli.models.dynamics.config import EGNNDynamicsConfig
from eqcli.recipe.load import load_train_recipe
from eqcli.recipe.training import TrainingRecipe, training_recipe
from eqcli.tasks.check import check_data
from eqcli.tasks.evaluate import evaluate
from eqcli.tasks.info import info
from eqcli.tasks.predict import predict
from eqcli.tasks.train import train

SECTIONS: dict[str, Any] = {
    "family": "dynamics",
    "name": "case",
    "data": {
        "system": "charged-particles", "particles": 3, "train": 60, "valid": 20, "test": 20,
        "from_frame": 0, "to_frame": 5,
    },
    "model": {"name": "egnn", "channels": 8, "num_layers": 2},
    "training": {
        "max_epochs": 12, "batch": {"structures": 10}, "optimizer": {"lr": 0.01, "amsgrad": False},
        "schedule": {"name": "cosine"}, "ema": 0.9, "checkpoint": {"every_minutes": 1e-4},
    },
}  # fmt: skip


def recipe(**changes: Any) -> TrainingRecipe:
    return training_recipe({name: {**SECTIONS[name], **changes.pop(name, {})} if isinstance(SECTIONS[name], dict)
                            else SECTIONS[name] for name in SECTIONS} | changes)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    train(recipe(), output, device="cpu")
    return output


def test_training_learns(run: Path) -> None:
    """Better than straight lines, which the untrained model is not."""
    result = json.loads((run / "result.json").read_text())
    checked = check_data(recipe())
    assert result["metrics"]["test"]["positions_mse"] < checked.figures["baselines"]["test"]["linear"]["mse"]
    header = load_model(run / "model.safetensors").header
    assert header["family"] == "dynamics"
    assert header["training"]["figures"]["test"] == result["metrics"]["test"]
    assert header["training"]["systems"] == {"train": 60, "valid": 20, "test": 20}


def test_a_resumed_run_is_the_same_to_the_last_bit(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "run"

    def stop(self: StepReport, trainer: Any, module: Any, *_: Any) -> None:
        if module.progress.step == 31:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(StepReport, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), output, device="cpu")
    train(recipe(), output, device="cpu", resume=True)
    for name, tensor in load_file(run / "model.safetensors").items():
        assert torch.equal(load_file(output / "model.safetensors")[name], tensor), name
    a, b = (read_checkpoint(list_checkpoints(folder / "checkpoints")[0]) for folder in (output, run))
    assert a["eqcli"]["progress"] == b["eqcli"]["progress"]
    assert (output / "metrics.csv").read_text() == (run / "metrics.csv").read_text()


def test_another_number_of_systems_is_another_run(run: Path) -> None:
    with pytest.raises(InputError, match=r"data\.train: 60 -> 70"):
        train(recipe(data={"train": 70}), run, device="cpu", resume=True)


def test_evaluation_of_the_test_part(run: Path, tmp_path: Path) -> None:
    result: Any = evaluate(run / "model.safetensors", [], tmp_path / "report", device="cpu")
    assert result.exit_code == ExitCode.OK
    trained = json.loads((run / "result.json").read_text())["metrics"]["test"]["positions_mse"]
    assert result.figures["model"]["mse"] == pytest.approx(trained, rel=1e-5)
    assert {check.key for check in result.audit.checks} == {
        "rotation", "reflection", "translation", "permutation", "batch",
    }  # fmt: skip
    assert all(check.value < 1e-10 for check in result.audit.checks)
    assert json.loads((tmp_path / "report" / "report.json").read_text())["figures"] == result.figures
    assert "Straight lines" in (tmp_path / "report" / "index.html").read_text()


def trajectories(path: Path, dimensions: int = 3, **more: Any) -> Path:
    rng = np.random.default_rng(0)
    shape = (30, 6, 3, dimensions)
    np.savez(path, positions=rng.normal(size=shape), velocities=rng.normal(size=shape), **more)
    return path


def test_evaluation_of_files(run: Path, tmp_path: Path) -> None:
    path = trajectories(tmp_path / "a.npz", charges=np.ones((30, 3)))
    result: Any = evaluate(run / "model.safetensors", [path, path], tmp_path / "report", audit=False)
    assert result.figures["systems"] == 60
    assert result.audit is None
    with pytest.raises(InputError, match="the model takes 0 features and charges"):
        evaluate(run / "model.safetensors", [trajectories(tmp_path / "b.npz")], tmp_path / "other")
    with pytest.raises(InputError, match="no other audit"):
        evaluate(run / "model.safetensors", [path], tmp_path / "other", audit=("conservation",))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_training_on_files(tmp_path: Path, dimensions: int) -> None:
    path = trajectories(tmp_path / "a.npz", dimensions)
    data = {"system": None, "train": str(path), "valid": None, "test": None, "split": {"valid": 5, "test": 5}}
    trained = train(recipe(data=data, training={"max_epochs": 1}), tmp_path / "run", device="cpu")
    assert set(trained.metrics) == {"valid", "test"}
    result: Any = evaluate(trained.model, [path], tmp_path / "report")
    assert result.exit_code == ExitCode.OK
    assert bool(result.audit.skipped) == (dimensions > 3)
    assert bool(result.audit.checks) == (dimensions <= 3)
    with pytest.raises(InputError, match="no simulated systems"):
        evaluate(trained.model, [], tmp_path / "none")


def test_the_audit_finds_a_model_with_a_preferred_direction() -> None:
    torch.manual_seed(0)
    model = make_dynamics(EGNNDynamicsConfig(channels=4, num_layers=1), node_features=0, edge_features=0)
    true = model.forward
    model.forward = lambda graph: true(graph) + 1e-3 * graph.velocities[:, :1]  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    x, v, target = (rng.normal(size=(2, 3, 3)) for _ in range(3))
    systems = ParticleSet(x, v, target, None, np.zeros((2, 3, 0)))
    audit = audit_motion(model, systems, count=2, seed=0, precision="float64")
    assert {check.key for check in audit.failed} == {"rotation", "reflection"}


def test_what_is_for_structures_refuses_it(run: Path, tmp_path: Path) -> None:
    structures = Path(__file__).parents[2] / "data" / "ethanol" / "test.extxyz"
    with pytest.raises(InputError, match="family 'dynamics'"):
        predict(run / "model.safetensors", [structures], tmp_path / "out.extxyz")


def test_info(run: Path) -> None:
    facts = info(run / "model.safetensors")
    assert (facts["family"], facts["name"]) == ("dynamics", "egnn")
    assert facts["inputs"] == {"node_features": 0, "edge_features": 1}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"from_frame": 5}, "to_frame must come after"),
        ({"system": None}, "needs `system"),
        ({"valid": None}, "valid is required"),
        ({"train": "file.h5"}, "number of systems"),
        ({"particles": 1}, "greater than or equal to 2"),
    ],
)
def test_mistakes_in_the_data_section(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(data=data)


def test_the_family_chooses_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("family: dynamic\nname: x\n")
    with pytest.raises(ErrorGroup, match="Did you mean 'dynamics'"):
        load_train_recipe(path)
    path.write_text("family: dynamics\nname: x\ndata:\n  train: missing.h5\nmodel: {name: egnn, cutoff: 5}\n")
    with pytest.raises(ErrorGroup) as caught:
        load_train_recipe(path)
    assert "no such file" in str(caught.value)
    assert "model.cutoff" in str(caught.value)


def test_the_recipe_of_the_benchmark() -> None:
    path = Path(__file__).parents[2] / "recipes" / "dynamics" / "nbody-egnn.yaml"
    found = load_train_recipe(path, ["training.max_minutes=null"])
    assert found.family == "dynamics"
    assert (found.data.train, found.training.optimizer.lr) == (3000, 5e-4)
