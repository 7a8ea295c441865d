"""Trainings of several tasks of a real Slurm: they find each other, stop together, and put themselves back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.slurm_here import PATIENCE, Slurm
from tests.stopping import assert_same_end

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
ROOT = Path(__file__).parents[2]

RECIPE = [
    str(ROOT / "recipes" / "potentials" / "mace-ethanol.yaml"),
    "model.channels=4",
    "model.max_L=0",
    "model.num_interactions=1",
    "data.max_train=40",
    "data.split.valid=20",
    "training.max_epochs=20",
    "training.batch={structures: 8}",
    "training.valid_batch={structures: 20}",
    "--device",
    "cpu",
]


def _train(output: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "eqcli", "train", *RECIPE, "-o", output, *words]


def test_tasks_that_do_not_know_of_each_other_are_refused(slurm: Slurm, home: Path) -> None:
    for words, said in (([], "--devices 2 --nodes 1"), (["--devices", "3"], "srun started 2 processes")):
        run = subprocess.run(
            ["srun", "-n", "2", *_train("copies", *words)],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 2
        assert said in run.stderr
        assert not (home / "copies").exists()


def test_two_tasks_stop_together_and_put_their_job_back(slurm: Slurm, home: Path) -> None:
    """As two processes that were never stopped."""
    script = home / "job.sh"
    command = " ".join(f"'{word}'" for word in _train("run", "--devices", "2", "--requeue"))
    script.write_text(
        f"#!/bin/bash\n#SBATCH --ntasks=2 --requeue --output={home}/log --open-mode=append\n"
        f"export PYTHONPATH={ROOT} OMP_NUM_THREADS=1\n"
        f"if [ -d run ]; then resume=--resume; fi\nsrun --kill-on-bad-exit=1 {command} $resume\n"
    )
    job = slurm.say("sbatch", "--parsable", str(script))
    table, deadline = home / "run" / "metrics.csv", time.monotonic() + PATIENCE
    while not (table.exists() and table.read_text().count("\n") > 3):
        assert time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.1)
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    slurm.wait(job, "PENDING", 1)
    subprocess.run(
        _train("whole", "--devices", "2"), env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True, capture_output=True,
    )  # fmt: skip
    slurm.wait(job, "COMPLETED 0:0", 1, now=True)
    said = (home / "log").read_text()
    # What comes after the first of these is ended by Slurm at any moment.
    assert said.count("interrupted after a checkpoint") == 1
    assert said.count("is back in the queue") <= 1
    assert said.count("going on after step") == 1
    assert_same_end(home / "run", home / "whole")
