"""A training that starts its own processes, and the queue of a batch system."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from eqcli.cli.app import main
from eqcli.engine.training_callbacks import StepReport
from eqcli.engine.training_world import World
from eqcli.errors import EqcliError, ExitCode, InputError
from eqcli.models.potentials.config import MACEConfig
from eqcli.recipe.schema import TrainRecipe
from eqcli.tasks import train_launch
from eqcli.tasks.train import train
from eqcli.tasks.train_devices import device_of
from eqcli.tasks.train_requeue import job_number, requeue, wants_requeue
from tests.engine.training_case import isolated_atoms, make_recipe, molecules, register_toy, write
from tests.killing import is_there, newest_step
from tests.listener import Listener


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "frames.h5", molecules(30) + isolated_atoms())


def recipe(data: Path, **training: Any) -> TrainRecipe:
    config = MACEConfig(channels=2, max_ell=1, max_L=1, correlation=2, num_interactions=2, cutoff=3.0)
    section = {"max_epochs": 2, "precision": "float64", "schedule": {"name": "constant"}, **training}
    return make_recipe(data, model=config, training=section)


def assert_alike(found: Path, expected: Path) -> None:
    for name, tensor in load_file(expected / "model.safetensors").items():
        torch.testing.assert_close(load_file(found / "model.safetensors")[name], tensor, rtol=1e-9, atol=1e-10)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Those that a training starts; none of them is there afterwards."""
    made: list[subprocess.Popen[bytes]] = []
    plain = subprocess.Popen

    def noted(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        process = plain(*args, **kwargs)
        if train_launch.PROGRAM in args[0]:
            made.append(process)
        return process

    monkeypatch.setattr(train_launch.subprocess, "Popen", noted)
    yield made
    assert not any(is_there(process.pid) for process in made)


def test_the_command_starts_the_others(data: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """Weights divided among them or not, and the other way when it goes on."""
    one = train(recipe(data), tmp_path / "one", device="cpu")
    threads = torch.get_num_threads()
    train(recipe(data, max_epochs=1), tmp_path / "two", device="cpu", devices=2, strategy="fsdp")
    two = train(recipe(data), tmp_path / "two", device="cpu", devices=2, resume=True)
    assert len(processes) == 2
    assert torch.get_num_threads() == threads
    assert (one.steps, one.best_epoch) == (two.steps, two.best_epoch)
    assert two.is_first
    assert_alike(tmp_path / "two", tmp_path / "one")
    assert two.metrics["valid"] == pytest.approx(one.metrics["valid"], rel=1e-9)


def test_a_process_is_killed(data: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """The training ends soon and says why."""
    output = tmp_path / "run"

    def kill() -> None:
        while newest_step(output) < 12:
            time.sleep(0.01)
        processes[0].send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    long = recipe(data, max_epochs=500, checkpoint={"every_minutes": 1e-4})
    with pytest.raises(EqcliError, match=r"process 2 of 2 of this training was killed \(SIGKILL\)") as found:
        train(long, output, device="cpu", devices=2)
    assert found.value.exit_code == ExitCode.INTERRUPTED
    thread.join(5)
    assert newest_step(output) >= 12
    assert len(processes) == 1


def test_nothing_is_started_where_the_folder_is_in_use(
    data: Path, tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no training run"):
        train(recipe(data), tmp_path, device="cpu", devices=2)
    with pytest.raises(InputError, match="there is one"):
        train(recipe(data), tmp_path / "run", device="cpu", strategy="fsdp")
    assert not processes


def test_copies_are_refused_by_the_command(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    plain = recipe(data).model_dump(mode="json", by_alias=True)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain))
    tasks = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}
    for name, value in tasks.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main(["train", str(tmp_path / "recipe.yaml"), "-o", str(tmp_path / "run"), "--device", "cpu"])
    assert end.value.code == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "srun started this command 4 times" in said
    assert "--devices 4 --nodes 1" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("devices", ["0", "-1", "many"])
def test_a_number_of_devices_that_is_none(
    data: Path, tmp_path: Path, devices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "recipes/potentials/mace-ethanol.yaml", "-o", str(tmp_path / "run"), "--devices", devices])
    assert end.value.code == ExitCode.BAD_INPUT
    assert "--devices" in capsys.readouterr().err


@pytest.mark.parametrize(("environment", "asked", "wanted"), [
    ({"SLURM_JOB_ID": "5"}, True, True),
    ({"SLURM_JOB_ID": "5", "EQCLI_REQUEUE": "1"}, False, True),
    ({"SLURM_JOB_ID": "5", "EQCLI_REQUEUE": "0"}, False, False),
    ({"SLURM_JOB_ID": "5"}, False, False),
    ({"EQCLI_REQUEUE": "1"}, True, False),
])  # fmt: skip
def test_which_jobs_are_put_back(environment: dict[str, str], asked: bool, wanted: bool) -> None:
    assert wants_requeue(asked, environment) is wanted


def scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """A command of that name that notes what it is asked."""
    program = folder / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\necho "no such job" >&2\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return folder / "asked"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_job_whose_time_is_nearly_over(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """SIGUSR1 puts it back after a checkpoint; SIGTERM, which also comes when it is cancelled, does not."""
    asked = scontrol(tmp_path, monkeypatch)
    monkeypatch.setenv("SLURM_JOB_ID", "31")
    monkeypatch.setenv("EQCLI_REQUEUE", "1")
    register_toy()
    plain, listener = StepReport.on_train_batch_end, Listener()

    def signalled(self: StepReport, trainer: Any, module: Any, *rest: Any) -> None:
        plain(self, trainer, module, *rest)
        if module.progress.step == 3:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(StepReport, "on_train_batch_end", signalled)
        with pytest.raises(KeyboardInterrupt):
            train(make_recipe(data), tmp_path / "run", device="cpu", report=listener)
    assert newest_step(tmp_path / "run") == 4
    assert asked.is_file() == (number == signal.SIGUSR1)
    if asked.is_file():
        assert asked.read_text() == "requeue 31\n"
        assert listener.messages[-1] == "job 31 is back in the queue"
    assert train(make_recipe(data), tmp_path / "run", device="cpu", resume=True).epochs == 4


def test_a_job_that_cannot_be_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scontrol(tmp_path, monkeypatch, code=1)
    listener = Listener()
    assert not requeue(listener, {"SLURM_JOB_ID": "8"})
    assert "no such job" in listener.warnings[0]
    assert job_number({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}) == "7_2"


def test_devices_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One GPU for each; where a batch system shows each task its own, that one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for there, launcher, index in ((4, "own", 2), (1, "slurm", 0)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        assert device_of("auto", World(2, 4, 2, 4, launcher=launcher)) == torch.device("cuda", index)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 GPUs are visible"):
        device_of("cuda", World(0, 4, 0, 4, launcher="own"))
    with pytest.raises(InputError, match="cuda:1 is one device"):
        device_of("cuda:1", World(0, 4, 0, 4, launcher="own"))
    assert device_of("cpu", World(0, 4, 0, 4)) == torch.device("cpu")


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert train_launch.threads_of(World(0, 4, 0, 4, launcher="own")) == 2
    assert train_launch.threads_of(World(0, 16, 0, 16, launcher="own")) == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert train_launch.threads_of(World(0, 4, 0, 4, launcher="slurm")) == 6
