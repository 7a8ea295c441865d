"""Two processes train as one does, stop together, and go on as if they had never stopped."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.engine.training_module import STATE_KEY
from tests.engine.test_train_resume import assert_same_run
from tests.engine.training_case import isolated_atoms, molecules, write
from tests.killing import kill_when, newest_step
from tests.stopping import assert_same_end
from tests.tasks.train_generator_case import crystals
from tests.tasks.train_generator_case import write as write_crystals
from tests.together import finish, start, train_crystals, train_toy

SECTIONS: dict[str, Any] = {
    "training": {
        "max_epochs": 8,
        "batch": {"atoms": 14},
        "optimizer": {"lr": 0.005},
        "schedule": {"name": "plateau", "patience": 1, "warmup_steps": 5},
        "early_stopping": {"patience": 3, "min_delta": 0.01},
        "ema": 0.95,
        "precision": "float64",
        "checkpoint": {"every_minutes": 1e-4},
    }
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "frames.h5", molecules(40) + isolated_atoms())


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes from start to end."""
    output = tmp_path_factory.mktemp("two") / "run"
    assert finish(start(train_toy, data, output, SECTIONS)) == [0, 0]
    return output


def changed(**training: Any) -> dict[str, Any]:
    return {"training": {**SECTIONS["training"], **training}}


def assert_alike(found: Path, expected: Path, tolerance: float = 1e-10) -> None:
    """The same weights and the same figures of every epoch, up to rounding."""
    for name, tensor in load_file(expected / "model.safetensors").items():
        torch.testing.assert_close(load_file(found / "model.safetensors")[name], tensor, rtol=tolerance, atol=tolerance)
    rows = [list(csv.DictReader((folder / "metrics.csv").open())) for folder in (found, expected)]
    assert len(rows[0]) == len(rows[1]) > 1
    for one, other in zip(*rows, strict=True):
        assert {k: float(v) for k, v in one.items()} == pytest.approx(
            {k: float(v) for k, v in other.items()}, rel=100 * tolerance
        )


@pytest.mark.parametrize(
    ("size", "changes"),
    [(2, SECTIONS), (3, changed(batch={"structures": 2})), (2, changed(micro_batch={"structures": 1}, workers=1))],
    ids=["two", "more-than-structures", "micro-batches"],
)
def test_several_processes_train_as_one(data: Path, tmp_path: Path, size: int, changes: dict[str, Any]) -> None:
    """Steps, validation, averages, the plateau and early stopping; also where a process has nothing to do."""
    one = start(train_toy, data, tmp_path / "one", changes, size=1)
    several = start(train_toy, data, tmp_path / "several", changes, size=size)
    assert finish(one) == [0]
    assert finish(several) == [0] * size
    assert_alike(tmp_path / "several", tmp_path / "one")


def test_a_killed_process_ends_the_others_and_the_run_goes_on(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    for killed, step in ((1, 10), (0, 25)):
        processes = start(train_toy, data, output, SECTIONS)
        kill_when(lambda step=step: newest_step(output) >= step, processes[killed])
        codes = finish(processes)
        assert codes[killed] == -signal.SIGKILL
        assert codes[1 - killed] == 130
        assert newest_step(output) < newest_step(undisturbed)
    assert finish(start(train_toy, data, output, SECTIONS)) == [0, 0]
    assert_same_run(output, undisturbed)


@pytest.mark.parametrize(("number", "asked"), [(signal.SIGTERM, 1), (signal.SIGUSR1, 0)])
def test_one_is_asked_to_stop_and_all_do(
    data: Path, undisturbed: Path, tmp_path: Path, number: int, asked: int
) -> None:
    """After the same step, whoever was asked."""
    output = tmp_path / "run"
    slow = changed(checkpoint={"every_minutes": 60})
    processes = start(train_toy, data, output, slow)
    kill_when((output / "metrics.csv").exists, processes[asked], number)
    assert finish(processes) == [130, 130]
    assert 0 < newest_step(output) < newest_step(undisturbed)
    assert finish(start(train_toy, data, output, slow)) == [0, 0]
    assert_same_end(output, undisturbed)


def test_a_run_of_two_goes_on_with_one(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    processes = start(train_toy, data, output, SECTIONS)
    kill_when(lambda: newest_step(output) >= 10, processes[0], signal.SIGTERM)
    finish(processes)
    assert newest_step(output) < newest_step(undisturbed)
    assert finish(start(train_toy, data, output, SECTIONS, size=1)) == [0]
    assert_alike(output, undisturbed)


def test_random_numbers_of_each_process_are_kept(tmp_path: Path) -> None:
    """The noise of a generator: of its own in every process, and the same when a run goes on."""
    data = write_crystals(tmp_path / "data.h5", crystals(40))
    changes = {"training": {"max_epochs": 6, "batch": {"structures": 8}, "checkpoint": {"every_minutes": 1e-4}}}
    whole, output = tmp_path / "whole", tmp_path / "run"
    undisturbed = start(train_crystals, data, whole, changes)
    processes = start(train_crystals, data, output, changes)
    kill_when(lambda: newest_step(output) >= 8, processes[1])
    finish(processes)
    assert finish(undisturbed) == [0, 0]
    assert newest_step(output) < newest_step(whole)
    assert finish(start(train_crystals, data, output, changes)) == [0, 0]
    assert_same_end(output, whole)
    state = read_checkpoint(list_checkpoints(output / "checkpoints")[0])[STATE_KEY]
    (other,) = state["random_of_others"]
    assert not torch.equal(state["random"]["cpu"], other["cpu"])


def test_memory_is_short_in_one_process(data: Path, tmp_path: Path) -> None:
    """The step is done again by all of them, and the training is the same."""
    one = start(train_toy, data, tmp_path / "one", SECTIONS, size=1)
    assert finish(start(train_toy, data, tmp_path / "two", SECTIONS, "memory")) == [0, 0]
    assert finish(one) == [0]
    assert_alike(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("fault", "codes", "said"),
    [("nan", [2, 2], "the loss became nan"), ("too-large", [2, 2], "does not fit"), ("defect", [130, 1], "another")],
)
def test_a_fault_in_one_process_ends_all(data: Path, tmp_path: Path, fault: str, codes: list[int], said: str) -> None:
    """The first process tells it; the others only end, unless the fault is theirs."""
    assert finish(start(train_toy, data, tmp_path / "run", SECTIONS, fault)) == codes
    told = {path.stem: path.read_text() for path in (tmp_path / "errors").iterdir()}
    (first,) = [text for name, text in told.items() if name.endswith("-0")]
    assert said in first
    assert all(name.startswith("ToldElsewhere") for name in told if name.endswith("-1"))


def test_weights_that_cannot_be_divided(data: Path, tmp_path: Path) -> None:
    """Those of the toy are single numbers."""
    assert finish(start(train_toy, data, tmp_path / "run", SECTIONS, strategy="fsdp")) == [2, 2]
    told = {path.stem: path.read_text() for path in (tmp_path / "errors").iterdir()}
    assert sorted(told) == ["InputError-0", "ToldElsewhere-1"]
    assert "cannot be divided" in told["InputError-0"]
    assert "--strategy ddp" in told["InputError-0"]
