"""`eqcli submit`: what is checked before it waits in a queue, and what is written down."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eqcli.engine.cluster.submission import read_submitted
from tests.cli.conftest import Ended

Eqcli = Callable[..., Ended]

SBATCH = """#!/bin/bash
if [ -e refuse ]; then echo "sbatch: error: invalid account" >&2; exit 1; fi
echo Submitted batch job 4711
"""
SQUEUE = "#!/bin/bash\necho RUNNING node1\n"


@pytest.fixture
def cluster(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text("{task: cluster, scheduler: slurm, cores: 2, walltime: 1h, nodes: 2, devices: 4}")
    return str(path)


@pytest.fixture
def batch_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stand for those of Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_training_is_submitted_and_remembered(eqcli: Eqcli, recipe: Path, cluster: str, batch_system: Path) -> None:
    ended = eqcli("submit", "recipe.yaml", "seed=3", "--cluster", cluster)
    assert ended.code == 0
    assert "train recipe.yaml seed=3 -o runs/run --devices 4 --nodes 2 $resume" in ended.out
    assert "4711" in ended.out
    job = read_submitted(Path("runs/run"))
    assert job is not None
    assert (job.job, job.scheduler, job.command[:2]) == ("4711", "slurm", ["train", "recipe.yaml"])
    script = Path("runs/run.jobs/job.sh").read_text()
    assert "--nodes=2" in script
    assert "--ntasks-per-node=4" in script
    assert job.log == str(recipe.parent / "runs" / "run.jobs" / "4711.log")
    assert not Path("runs/run").exists()


def test_a_job_that_has_not_ended_keeps_a_second_one_out(
    eqcli: Eqcli, recipe: Path, cluster: str, batch_system: Path
) -> None:
    assert eqcli("submit", "recipe.yaml", "--cluster", cluster, "-q").code == 0
    ended = eqcli("submit", "recipe.yaml", "--cluster", cluster, "-q")
    assert ended.code == 2
    assert "job 4711 for this output has not ended (running node1)" in ended.err
    assert "begins anew" not in ended.err


def test_a_refusal_is_told_in_the_words_of_the_batch_system(
    eqcli: Eqcli, recipe: Path, cluster: str, batch_system: Path
) -> None:
    Path("runs/run.jobs").mkdir(parents=True)
    Path("runs/run.jobs/refuse").touch()
    ended = eqcli("submit", "recipe.yaml", "--cluster", cluster)
    assert ended.code == 2
    assert "SLURM did not take the job: sbatch: error: invalid account" in ended.err
    assert read_submitted(Path("runs/run")) is None


def test_a_dry_run_needs_no_batch_system_and_writes_nothing(
    eqcli: Eqcli, recipe: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    before = set(recipe.parent.iterdir())
    ended = eqcli("submit", "recipe.yaml", "--cluster", cluster, "--dry-run", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["job"] is None
    assert json.loads(ended.out)["script"].startswith("#!/bin/bash")
    assert set(recipe.parent.iterdir()) == before
    ended = eqcli("submit", "recipe.yaml", "--cluster", cluster)
    assert ended.code == 2
    assert "the command 'sbatch' of SLURM is not on this machine" in ended.err


def test_other_commands_stand_after_two_hyphens(eqcli: Eqcli, cluster: str) -> None:
    words = ("predict", "m.safetensors", "in put.h5", "-o", "out.h5")
    script = eqcli("submit", "--cluster", cluster, "--dry-run", "--", *words).out
    assert "-m eqcli predict m.safetensors 'in put.h5' -o out.h5 $resume" in script
    assert "if [ -e out.h5.work ]" in script
    assert "--nodes=1" in script  # of trainings alone are there several


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("predict", "m", "i", "-o", "o", "--batsch-atoms", "3"), "Did you mean --batch-atoms?"),
        (("predct", "m"), "Did you mean 'predict'?"),
        (("status", "x"), "neither a recipe nor a command"),
        (("predict", "m", "i", "-o", "o", "--overwrite"), "begin anew each time"),
        (("absent.yaml",), "no such file"),
    ],
)
def test_mistakes_do_not_wait_in_a_queue(
    eqcli: Eqcli, cluster: str, batch_system: Path, words: tuple[str, ...], said: str
) -> None:
    ended = eqcli("submit", "--cluster", cluster, "--", *words)
    assert ended.code == 2
    assert said in ended.err
    assert not list(batch_system.parent.glob("*.jobs"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"scheduler": "local"}, "no batch system"), ({"scheduler": "pbs", "nodes": 2}, "submitted to Slurm alone")],
)
def test_what_a_cluster_cannot_do(eqcli: Eqcli, recipe: Path, changes: dict[str, Any], said: str) -> None:
    Path("c.yaml").write_text(json.dumps({"task": "cluster", **changes}))
    ended = eqcli("submit", "recipe.yaml", "--cluster", "c.yaml", "--dry-run")
    assert ended.code == 2
    assert said in ended.err
