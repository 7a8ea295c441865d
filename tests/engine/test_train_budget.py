"""A training with a limit of time, and which weights decay."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from eqcli.engine import training_callbacks
from eqcli.engine.model_file import load_model, make_potential
from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint, write_checkpoint
from eqcli.engine.training_module import STATE_KEY, Progress, parameter_groups
from eqcli.engine.training_schedule import LearningRate
from eqcli.errors import InputError
from eqcli.models.potentials.config import MACEConfig
from eqcli.recipe.schema import ScheduleSection, TrainingSection
from eqcli.tasks.train import train
from tests.engine.training_case import isolated_atoms, make_recipe, molecules, register_toy, write


class Ticking:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register_toy()
    monkeypatch.setattr(training_callbacks, "time", Ticking())
    return write(tmp_path / "frames.h5", molecules(30) + isolated_atoms())


def recipe(data: Path, **training: Any) -> Any:
    section = {"max_epochs": 1000, "batch": {"structures": 3}, "schedule": {"name": "cosine"}, "ema": 0.9}
    return make_recipe(data, training={**section, "optimizer": {"lr": 0.02}, **training})


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def position(run: Path) -> Progress:
    return Progress(**read_checkpoint(list_checkpoints(run / "checkpoints")[0])[STATE_KEY]["progress"])


def test_training_ends_with_its_time(data: Path, tmp_path: Path) -> None:
    """In the middle of an epoch, with a validation, a model, and the rate at its end."""
    run = tmp_path / "run"
    result = train(recipe(data, max_minutes=1.0), run, device="cpu")
    log = rows(run)
    batches = 6  # 18 structures of 30 are left for training
    assert result.steps % batches != 0
    assert int(log[-1]["step"]) == result.steps < 60
    assert 60 <= position(run).seconds < 70
    rates = [float(row["lr"]) for row in log]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.002
    assert load_model(result.model).header["training"]["figures"]["valid"]["loss"] > 0


def test_time_adds_up_over_calls_and_may_be_prolonged(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = train(recipe(data, max_minutes=1.0), run, device="cpu")
    again = train(recipe(data, max_minutes=1.0), run, device="cpu", resume=True)
    assert again.steps == first.steps
    longer = train(recipe(data, max_minutes=2.0), run, device="cpu", resume=True)
    assert longer.steps > first.steps
    assert 120 <= position(run).seconds < 130
    with pytest.raises(InputError, match="max_minutes"):
        train(recipe(data, max_minutes=0.5), run, device="cpu", resume=True)


def test_without_a_limit_no_time_is_kept(data: Path, tmp_path: Path) -> None:
    """Time would make two equal runs differ."""
    train(recipe(data, max_epochs=2), tmp_path / "run", device="cpu")
    assert position(tmp_path / "run").seconds == 0.0


def test_the_cosine_follows_epochs_or_time() -> None:
    rate = LearningRate(0.1, ScheduleSection(name="cosine"), 10)
    assert rate.at(0, 5.0, 0.2) == rate.at(0, 5.0) == pytest.approx(0.05)
    assert rate.at(0, 1.0, 0.5) == pytest.approx(0.05)
    assert rate.at(0, 1.0, 1.3) == pytest.approx(0.0)
    assert LearningRate(0.1, ScheduleSection(name="exponential"), 10).at(0, 0.0, 0.9) == 0.1


@pytest.mark.parametrize(
    ("progress", "over"),
    [
        (Progress(epoch=3), False),
        (Progress(epoch=5), True),
        (Progress(stopped=True), True),
        (Progress(seconds=59.0), False),
        (Progress(seconds=60.0), True),
    ],
)
def test_when_training_is_over(progress: Progress, over: bool) -> None:
    assert progress.finished(TrainingSection(max_epochs=5, max_minutes=1.0)) is over


def test_weights_of_mace_that_decay() -> None:
    mace = make_potential(MACEConfig(channels=4, max_L=1), [1, 8])
    names = {id(p): name for name, p in mace.named_parameters()}
    decayed, plain = parameter_groups(mace, 0.1)
    found = {names[id(p)].split(".", 2)[-1].split(".")[0] for p in decayed["params"]}
    assert found == {"linear_up", "convolution", "product", "linear", "skip"}
    assert {names[id(p)] for p in plain["params"]} >= {"embedding", "layers.0.radial.weights.0", "readouts.1.hidden"}
    assert decayed["weight_decay"] == 0.1
    assert plain["weight_decay"] == 0.0


def test_weights_of_any_model_that_decay() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(3, 2), "map": nn.Linear(2, 2), "norm": nn.LayerNorm((2, 2))})
    decayed, plain = parameter_groups(model, 0.1)
    assert [p is model["map"].weight for p in decayed["params"]] == [True]
    assert len(plain["params"]) == 4


def test_checkpoints_from_before_there_were_families(data: Path, tmp_path: Path) -> None:
    """Their weights are those of a `potential`, and their recipe names no family."""
    run = tmp_path / "run"
    train(recipe(data, max_epochs=2), run, device="cpu")
    for path in list_checkpoints(run / "checkpoints"):
        tree = read_checkpoint(path)
        weights = tree["state_dict"].items()
        tree["state_dict"] = {name.replace("model.", "potential.", 1): tensor for name, tensor in weights}
        del tree[STATE_KEY]["progress"]["seconds"]
        write_checkpoint(path, tree)
    stored = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(stored.replace("family: potentials\n", ""))
    assert "family" not in (run / "recipe.yaml").read_text()
    assert train(recipe(data, max_epochs=3), run, device="cpu", resume=True).epochs == 3
