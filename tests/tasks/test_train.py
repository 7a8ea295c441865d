from __future__ import annotations

import csv
import json
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from eqcli.engine.model_file import load_model
from eqcli.engine.training_checkpoint import list_checkpoints
from eqcli.engine.training_run import RunFolder
from eqcli.engine.training_schedule import LearningRate
from eqcli.errors import ErrorGroup, InputError
from eqcli.locks import FolderLock
from eqcli.models.potentials.config import POTENTIALS, MACEConfig
from eqcli.progress import Silent
from eqcli.tasks.train import train
from tests.engine.training_case import TRUTH, isolated_atoms, labelled, make_recipe, molecules, write
from tests.toy import ToyConfig


class Recorder(Silent):
    """Keeps what a task says."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.steps = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def advance(self, n: int = 1, **figures: float) -> None:
        self.steps += n if "loss" in figures else 0


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POTENTIALS, "toy", ("tests.toy", "ToyPotential", ToyConfig))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "frames.h5", molecules(40) + isolated_atoms())


def short(source: Path, /, **changes: Any) -> Any:
    training = {"max_epochs": 2, "batch": {"structures": 4}, **changes.pop("training", {})}
    return make_recipe(source, training=training, **changes)


def test_it_finds_the_true_parameters(data: Path, tmp_path: Path) -> None:
    training = {"max_epochs": 40, "batch": {"structures": 3}, "optimizer": {"lr": 0.03}, "ema": 0.9}
    heard = Recorder()
    result = train(make_recipe(data, training=training), tmp_path / "run", device="cpu", report=heard)
    found = {n: p.item() for n, p in load_model(result.model).potential.named_parameters()}
    assert found == pytest.approx(TRUTH, abs=2e-3)
    assert result.metrics["test"]["forces_mae"] < 1e-3
    assert result.metrics["test"]["energy_mae"] < 1e-3
    assert heard.steps == result.steps == 40 * 10
    assert any("reference energies: H -13 eV (isolated)" in text for text in heard.messages)


def test_what_a_run_leaves_behind(data: Path, tmp_path: Path) -> None:
    random_before = torch.get_rng_state()
    result = train(short(data, training={"loggers": ["csv", "tensorboard"]}), tmp_path / "run", device="cpu")
    assert torch.equal(torch.get_rng_state(), random_before)
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir()}
    assert names == {
        "recipe.yaml", "provenance.json", "data", "split.json", "statistics.json", "checkpoints", "metrics.csv",
        "tensorboard", "model.safetensors", "result.json",
    }  # fmt: skip
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["valid_loss"]) == pytest.approx(result.metrics["valid"]["loss"])
    training = load_model(result.model).header["training"]
    assert training["figures"]["test"] == result.metrics["test"]
    assert training["split"] == json.loads((run / "split.json").read_text())["hash"]
    assert training["statistics"]["reference"]["source"] == {"H": "isolated", "C": "isolated", "O": "isolated"}
    assert training["recipe"] == yaml.safe_load((run / "recipe.yaml").read_text())
    assert len(training["data"][0]["sha256"]) == 64
    assert len(list_checkpoints(run / "checkpoints")) == 1
    written = json.loads((run / "result.json").read_text())
    assert written["steps"] == result.steps
    assert written["provenance"]["machine"]["threads"] >= 1


def test_nothing_is_overwritten_without_leave(data: Path, tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", short(data)
    train(recipe, run, device="cpu")
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="--resume") as caught:
        train(recipe, run, device="cpu")
    assert "--overwrite" in str(caught.value)
    assert (run / "model.safetensors").read_bytes() == before
    (run / "notes.txt").write_text("mine")
    train(short(data, seed=1), run, device="cpu", overwrite=True)
    assert (run / "model.safetensors").read_bytes() != before
    assert (run / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_no_run_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="holds no training run"):
            train(short(data), tmp_path, device="cpu", **options)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_two_processes_cannot_train_into_one_folder(data: Path, tmp_path: Path) -> None:
    run, folder = tmp_path / "run", RunFolder(tmp_path / "run")
    train(short(data), run, device="cpu")
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    half_written = run / "checkpoints" / ".step-9.1.tmp.safetensors"
    half_written.write_bytes(b"of the other process")
    context = get_context("fork")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(run, held, done))
    other.start()
    try:
        assert held.wait(30)
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match="another process is working in this folder"):
                folder.open({}, resume=options.get("resume", False), overwrite=options.get("overwrite", False))
        assert half_written.is_file()
        assert {path: path.read_bytes() for path in before} == before
    finally:
        done.set()
        other.join()
    train(short(data), run, device="cpu", resume=True)
    assert not half_written.exists()
    assert not (run / ".lock").exists()


def hold(folder: Path, held: Any, done: Any) -> None:
    """Locks a folder, as a run in another process does, until it is told to stop."""
    with FolderLock(folder):
        held.set()
        done.wait(30)


def test_a_killed_process_leaves_no_lock_and_a_folder_that_can_be_used(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    context = get_context("fork")
    held = context.Event()
    other = context.Process(target=hold, args=(run, held, context.Event()))
    other.start()
    assert held.wait(30)
    other.kill()
    other.join()
    assert (run / ".lock").exists()
    assert train(short(data), run, device="cpu").model.is_file()


def test_bad_data_leave_no_folder(tmp_path: Path) -> None:
    frames = molecules(20)
    for frame in frames:
        frame.forces = None
    with pytest.raises(ErrorGroup, match="forces"):
        train(short(write(tmp_path / "d.h5", frames)), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_resume_refuses_another_recipe(data: Path, tmp_path: Path) -> None:
    train(short(data), tmp_path / "run", device="cpu")
    other = short(data, training={"optimizer": {"lr": 0.5}})
    with pytest.raises(
        InputError, match=r"training\.optimizer\.lr: 0\.02 -> 0\.5|training\.optimizer\.lr: 0\.01 -> 0\.5"
    ):
        train(other, tmp_path / "run", device="cpu", resume=True)


def test_data_files_may_move_but_not_change(data: Path, tmp_path: Path) -> None:
    first = tmp_path / "a.h5"
    first.write_bytes(data.read_bytes())
    before = train(short(first), tmp_path / "run", device="cpu")
    moved = first.rename(tmp_path / "b.h5")
    after = train(short(moved), tmp_path / "run", device="cpu", resume=True)
    assert after.metrics == before.metrics
    other = write(tmp_path / "c.h5", molecules(40, seed=3) + isolated_atoms())
    with pytest.raises(InputError, match=r"data\.train: .*b\.h5.* -> .*c\.h5"):
        train(short(other), tmp_path / "run", device="cpu", resume=True)
    again = moved.rename(tmp_path / "e.h5")
    assert train(short(again), tmp_path / "run", device="cpu", resume=True).metrics == before.metrics


def test_a_run_without_a_sound_checkpoint_keeps_its_model(data: Path, tmp_path: Path) -> None:
    result = train(short(data), tmp_path / "run", device="cpu")
    before = result.model.read_bytes()
    (path,) = list_checkpoints(tmp_path / "run" / "checkpoints")
    whole = path.read_bytes()
    # A bit of a number, and a file that is cut off.
    for broken in (whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:], whole[:1000]):
        path.write_bytes(broken)
        longer = short(data, training={"max_epochs": 3})
        with pytest.raises(InputError, match=r"no checkpoint of this run can be read.*damaged"):
            train(longer, tmp_path / "run", device="cpu", resume=True)
        assert result.model.read_bytes() == before


def test_resume_of_a_finished_run_changes_nothing_and_may_go_further(data: Path, tmp_path: Path) -> None:
    schedule = {"schedule": {"name": "constant"}}
    run = tmp_path / "run"
    train(short(data, training=schedule), run, device="cpu")
    before = load_file(run / "model.safetensors")
    again = train(short(data, training=schedule), run, device="cpu", resume=True)
    assert again.epochs == 2
    assert all(torch.equal(before[name], value) for name, value in load_file(run / "model.safetensors").items())
    further = {**schedule, "max_epochs": 5}
    assert train(short(data, training=further), run, device="cpu", resume=True).epochs == 5
    train(short(data, training=further), tmp_path / "whole", device="cpu")
    expected = load_file(tmp_path / "whole" / "model.safetensors")
    assert all(torch.equal(expected[name], value) for name, value in load_file(run / "model.safetensors").items())
    assert (run / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()


def test_divergence_is_said_and_the_best_model_stays(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LearningRate, "at", lambda self, step, epoch, spent: 0.01 if step < 15 else 1e30)
    with pytest.raises(InputError, match="loss became") as caught:
        train(short(data, training={"max_epochs": 50, "ema": None}), tmp_path / "run", device="cpu")
    assert "training.optimizer.lr" in str(caught.value)
    saved = load_model(tmp_path / "run" / "model.safetensors")
    assert saved.header["training"]["epoch"] >= 1
    assert all(torch.isfinite(p).all() for p in saved.potential.parameters())


def test_early_stopping(data: Path, tmp_path: Path) -> None:
    training = {"max_epochs": 50, "early_stopping": {"patience": 2, "min_delta": 1e9}}
    result = train(short(data, training=training), tmp_path / "run", device="cpu")
    assert result.epochs == 3
    assert train(short(data, training=training), tmp_path / "run", device="cpu", resume=True).epochs == 3


def test_workers_and_weights_of_config_types(tmp_path: Path) -> None:
    """A structure with weight zero does not matter, however wrong its labels."""
    frames = molecules(30)
    liar = labelled([1, 6, 8], molecules(1)[0].positions[:3], config_type="liar")
    liar.forces = liar.forces + 5.0
    path = write(tmp_path / "d.h5", frames + [liar] * 5)
    valid = write(tmp_path / "v.h5", molecules(4, seed=3))
    sections = {
        "data": {"train": str(path), "valid": str(valid)},
        "loss": {"energy": 0, "forces": 1, "config_weights": {"liar": 0.0}},
    }
    training = {"max_epochs": 30, "batch": {"edges": 40}, "optimizer": {"lr": 0.03}, "ema": 0.9, "workers": 1}
    result = train(short(path, training=training, **sections), tmp_path / "run", device="cpu")
    assert result.metrics["valid"]["forces_mae"] < 5e-3


def test_mace_learns_in_both_precisions(data: Path, tmp_path: Path) -> None:
    config = MACEConfig(cutoff=4.0, channels=4, max_L=1, max_ell=2, radial_MLP=(8,), num_interactions=2)
    for precision in ("float32", "float64"):
        recipe = short(data, model=config, training={"precision": precision, "max_epochs": 6})
        run = tmp_path / precision
        train(recipe, run, device="cpu")
        losses = [float(row["valid_loss"]) for row in csv.DictReader((run / "metrics.csv").open())]
        assert losses[-1] < 0.7 * losses[0]
        assert load_model(run / "model.safetensors").header["precision"] == precision
