"""A run that is killed, at whatever moment, and resumed ends with the weights of one that was not."""

from __future__ import annotations

import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eqcli.engine.training_checkpoint import list_checkpoints, read_checkpoint
from eqcli.engine.training_module import STATE_KEY
from tests.engine.training_case import isolated_atoms, molecules, run, write
from tests.killing import kill_when, newest_step

SECTIONS = {
    "training": {
        "max_epochs": 12,
        "batch": {"atoms": 14},
        "optimizer": {"lr": 0.005},
        "schedule": {"name": "plateau", "patience": 1, "warmup_steps": 5},
        "ema": 0.95,
        # Every few steps: kills then hit the writing itself.
        "checkpoint": {"every_minutes": 1e-4},
    }
}
# Children of the fork server are processes of their own, without the seconds of importing.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["lightning.pytorch", "eqcli.engine.training_session", "eqcli.tasks.train", "tests.engine.training_case"]
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "frames.h5", molecules(40) + isolated_atoms())


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from start to end."""
    output = tmp_path_factory.mktemp("whole") / "run"
    assert finish(start(data, output)) == 0
    return output


def start(data: Path, output: Path, workers: int = 0) -> BaseProcess:
    sections = {"training": {**SECTIONS["training"], "workers": workers}}
    process = PROCESSES.Process(target=run, args=(data, output, sections))
    process.start()
    return process


def finish(process: BaseProcess) -> int | None:
    process.join(120)
    return process.exitcode


def assert_same_run(found: Path, expected: Path) -> None:
    """Model, state of the optimiser, average, position and logged figures are equal to the last bit."""
    for name, tensor in load_file(expected / "model.safetensors").items():
        assert torch.equal(load_file(found / "model.safetensors")[name], tensor), name
    a, b = (read_checkpoint(list_checkpoints(folder / "checkpoints")[0]) for folder in (found, expected))
    for key in ("state_dict", "optimizer_states", STATE_KEY):
        assert_same(a[key], b[key], key)
    assert (found / "metrics.csv").read_text() == (expected / "metrics.csv").read_text()
    assert (found / "split.json").read_text() == (expected / "split.json").read_text()


def assert_same(a: object, b: object, path: str) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}.{i}")
    else:
        assert a == b, path


def test_killed_again_and_again(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    for step in (7, 31, 80):
        kill_when(lambda step=step: newest_step(output) >= step, start(data, output))
        assert newest_step(output) < newest_step(undisturbed)
    assert finish(start(data, output)) == 0
    assert_same_run(output, undisturbed)


def test_killed_while_a_checkpoint_is_written(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    folder = output / "checkpoints"
    kill_when(lambda: newest_step(output) > 20 and list(folder.glob(".step-*.tmp.*")), start(data, output))
    assert finish(start(data, output)) == 0
    assert not list(folder.glob(".*"))
    assert_same_run(output, undisturbed)


def test_a_damaged_checkpoint_is_passed_over(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    kill_when(lambda: newest_step(output) > 20, start(data, output))
    newest = list_checkpoints(output / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert finish(start(data, output)) == 0
    assert_same_run(output, undisturbed)


@pytest.mark.parametrize("mark", ["recipe.yaml", "data/train.h5", "split.json", "statistics.json"])
def test_killed_during_preparation(data: Path, undisturbed: Path, tmp_path: Path, mark: str) -> None:
    output = tmp_path / "run"
    kill_when((output / mark).exists, start(data, output))
    assert finish(start(data, output)) == 0
    assert_same_run(output, undisturbed)


def test_killed_with_workers(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    """Loading in other processes changes nothing, and neither does losing them."""
    output = tmp_path / "run"
    kill_when(lambda: newest_step(output) >= 25, start(data, output, workers=2))
    assert finish(start(data, output, workers=2)) == 0
    assert_same_run(output, undisturbed)


def test_asked_to_stop(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    """SIGTERM, as batch systems send it: a checkpoint, the exit code of an interruption, then as if nothing was."""
    output = tmp_path / "run"
    process = start(data, output)
    kill_when(lambda: newest_step(output) >= 25, process, signal.SIGTERM)
    assert process.exitcode == 130
    assert finish(start(data, output)) == 0
    assert_same_run(output, undisturbed)
