"""A real Slurm on this machine: trainings that are stopped and put back, and workers that are its jobs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.slurm_here import PATIENCE, Slurm
from tests.engine.cluster import work
from tests.stopping import assert_same_end

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
ROOT = Path(__file__).parents[2]

TINY = ("max_epochs=20", "batch={structures: 8}", "valid_batch={structures: 20}")
CLUSTER = {
    "task": "cluster",
    "scheduler": "slurm",
    "cores": 1,
    "memory": "900MB",
    "walltime": "10min",
    "python": sys.executable,
    "setup": [f"export PYTHONPATH={ROOT}"],
}


def _cluster(home: Path, **more: Any) -> Path:
    path = home / "cluster.yaml"
    path.write_text(json.dumps(CLUSTER | more))
    return path


def _eqcli(*words: str) -> dict[str, Any]:
    """The JSON document of a command that must succeed."""
    run = subprocess.run(
        [sys.executable, "-m", "eqcli", words[0], "--json", *words[1:]], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr + run.stdout
    return dict(json.loads(run.stdout))


def _submit_training(home: Path, output: str) -> str:
    overrides = [
        "model.channels=4",
        "model.max_L=0",
        "model.num_interactions=1",
        "data.max_train=40",
        "data.split.valid=20",
    ]
    overrides += [f"training.{change}" for change in TINY]
    recipe = ROOT / "recipes" / "potentials" / "mace-ethanol.yaml"
    found = _eqcli("submit", str(recipe), *overrides, "--cluster", str(_cluster(home)), "-o", output)
    return str(found["job"])


def _wait(happened: Callable[[], Any], why: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, why
        time.sleep(0.1)


def _epochs(output: Path) -> int:
    table = output / "metrics.csv"
    return len(table.read_text().splitlines()) - 1 if table.exists() else 0


def test_a_training_that_is_stopped_goes_back_and_ends_as_one_that_was_not(slurm: Slurm, home: Path) -> None:
    whole, job = _submit_training(home, "whole"), _submit_training(home, "run")
    for number, (name, epochs) in enumerate((("USR1", 3), ("TERM", 9)), start=1):
        _wait(lambda epochs=epochs: _epochs(home / "run") >= epochs, "the training does not get on")
        assert _eqcli("status", "run")["state"] == "running"
        subprocess.run(["scancel", f"--signal={name}", job], check=True)
        slurm.wait(job, "PENDING 0:0", number)
        assert _eqcli("status", "run")["state"] == "waiting"
        slurm.wait(job, ("RUNNING", "COMPL"), number, now=True)
    slurm.wait(whole, "COMPLETED 0:0")
    slurm.wait(job, "COMPLETED 0:0", 2)
    assert_same_end(home / "run", home / "whole")
    assert _eqcli("status", "run")["state"] == "done"
    log = next((home / "run.jobs").glob("*.log")).read_text()
    assert log.count("interrupted. The same command with --resume") == 2


def test_a_second_job_for_the_same_output_is_refused(slurm: Slurm, home: Path) -> None:
    subprocess.run(["scontrol", "update", "PartitionName=main", "State=DOWN"], check=True)
    try:
        words = ("submit", "--cluster", str(_cluster(home)), "--", "convert", "in.extxyz", "out.h5")
        job = _eqcli(*words)["job"]
        run = subprocess.run([sys.executable, "-m", "eqcli", *words], capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert f"job {job} for this output has not ended" in run.stderr
        subprocess.run(["scancel", job], check=True)
    finally:
        subprocess.run(["scontrol", "update", "PartitionName=main", "State=UP"], check=True)


def test_a_mistake_is_not_put_back(slurm: Slurm, home: Path) -> None:
    found = _eqcli("submit", "--cluster", str(_cluster(home)), "--", "convert", "absent.extxyz", "out.h5")
    slurm.wait(found["job"], "FAILED 2:0")
    assert "no such file" in Path(found["log"]).read_text()


def test_jobs_do_the_chunks_and_one_that_is_killed_is_replaced(slurm: Slurm, home: Path) -> None:
    from eqcli.engine.cluster.workers import open_workers
    from eqcli.recipe.cluster import ClusterRecipe

    cluster = ClusterRecipe.model_validate(CLUSTER)
    found = {}
    with open_workers(2, cluster, folder=home / "logs of workers") as workers:
        for number, result in workers.map(work.slow_square, range(10), home, 0.2):
            if not found:
                jobs = slurm.say("squeue", "-h", "-o", "%i").split()
                subprocess.run(["scancel", "--full", "--signal=KILL", jobs[0]], check=True)
            found[number] = result
        assert len(jobs) == 2
    assert found == {number: number * number for number in range(10)}
    _wait(lambda: not slurm.say("squeue", "-h", "-t", "PENDING,RUNNING", "-o", "%i"), "jobs of workers are left")


def test_workers_whose_jobs_fail_at_once_are_told(slurm: Slurm, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.engine.cluster import batch_workers
    from eqcli.engine.cluster.workers import open_workers
    from eqcli.errors import InputError
    from eqcli.recipe.cluster import ClusterRecipe

    monkeypatch.setattr(batch_workers, "ASK_SECONDS", 1.0)
    cluster = ClusterRecipe.model_validate(CLUSTER | {"python": "/no/such/python"})
    with (
        pytest.raises(InputError, match="workers end before they are ready") as error,
        open_workers(1, cluster) as workers,
    ):
        list(workers.map(work.square, range(3)))
    assert "logs" in error.value.hint
    wrong = ClusterRecipe.model_validate(CLUSTER | {"queue": "elsewhere"})
    with pytest.raises(InputError, match=r"SLURM did not take the job.*invalid partition"), open_workers(1, wrong):
        pass


def test_predictions_by_jobs_are_those_of_one_process(slurm: Slurm, home: Path) -> None:
    from eqcli.engine.model_file import save_model
    from eqcli.io import DatasetFile, DatasetWriter, read_structures
    from eqcli.models.potentials.build import make_potential
    from eqcli.models.potentials.configs.mace import MACEConfig

    model = home / "model.safetensors"
    config = MACEConfig(name="mace", channels=4, max_L=0, num_interactions=1)
    save_model(model, make_potential(config, [1, 6, 8]), training={}, provenance={})
    frames = list(read_structures(ROOT / "data" / "ethanol" / "test.extxyz"))
    with DatasetWriter(home / "many.h5") as writer:
        for structure in frames * 10:
            writer.append(structure)
    words = ("predict", str(model), "many.h5", "--batch-atoms", "900", "-o")
    _eqcli(*words, "one.h5")
    found = _eqcli(*words, "two.h5", "--cluster", str(_cluster(home, workers=2)))
    assert found["exit_code"] == 0
    with DatasetFile(home / "one.h5") as one, DatasetFile(home / "two.h5") as two:
        assert len(one) == len(two) == 10 * len(frames)
        assert {worker["host"] for worker in two.provenance["workers"]}
        for a, b in zip(one, two, strict=True):
            assert a.energy == b.energy
            assert (a.forces == b.forces).all()
    _wait(lambda: not slurm.say("squeue", "-h", "-t", "PENDING,RUNNING", "-o", "%i"), "jobs of workers are left")
