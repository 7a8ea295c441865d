"""Scripts of jobs: what each batch system reads, and what a shell makes of the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from eqcli.engine.cluster.directives import Shape, job_name
from eqcli.engine.cluster.job_script import NEXT_JOB, Job, job_script
from eqcli.recipe.cluster import ClusterRecipe

BATCH = ("slurm", "pbs", "lsf", "sge")
ODD = 'an odd $HOME\'s "name"; %j'


def _cluster(scheduler: str, **more: Any) -> ClusterRecipe:
    given = {"cores": 4, "memory": "8GB", "gpus": 1, "walltime": "1-02:30:00", "queue": "long", "account": "chem-1"}
    return ClusterRecipe(task="cluster", scheduler=scheduler, **given | more)  # type: ignore[arg-type]


def _directives(scheduler: str, **more: Any) -> list[str]:
    mark = {"slurm": "#SBATCH ", "pbs": "#PBS ", "lsf": "#BSUB ", "sge": "#$ "}[scheduler]
    job = Job(("train", "r.yaml"), ODD, Path("/work"), shape=Shape(1, 2))
    lines = job_script(job, _cluster(scheduler, **more)).splitlines()
    return [line.removeprefix(mark) for line in lines if line.startswith(mark)]


EXPECTED = {
    "slurm": ["--ntasks-per-node=2", "--cpus-per-task=4", "--mem=16384M", "--gres=gpu:2", "--time=26:30:00",
              "--partition=long", "--account=chem-1", "--requeue", "--signal=TERM@120", "--open-mode=append"],
    "pbs": ["-l select=1:ncpus=8:mpiprocs=2:ngpus=2:mem=16384mb", "-l walltime=26:30:00", "-q long",
            "-A chem-1", "-r y"],
    "lsf": ["-n 8", '-R "span[ptile=8]"', "-M 16384MB", '-gpu "num=2"', "-W 26:30", "-q long",
            '-P "chem-1"', '-r -Q "130"'],
    "sge": ["-pe smp 8", "-l h_vmem=2048M", "-l gpu=2", "-l h_rt=26:30:00", "-q long", "-P chem-1", "-r y", "-cwd"],
}  # fmt: skip


@pytest.mark.parametrize("scheduler", BATCH)
def test_each_batch_system_is_asked_in_its_own_words(scheduler: str) -> None:
    asked = _directives(scheduler)
    assert set(EXPECTED[scheduler]) <= set(asked)
    name = next(line for line in asked if line.startswith(("--job-name=", "-N ", "-J ")))
    assert name.endswith(("=an-odd-HOME-s-n", " an-odd-HOME-s-n"))


@pytest.mark.parametrize("scheduler", BATCH)
def test_nothing_is_asked_that_the_cluster_does_not_say(scheduler: str) -> None:
    silent = dict.fromkeys(("memory", "walltime", "queue", "account"))
    text = " ".join(_directives(scheduler, **silent, gpus=0, requeue=False))
    for word in ("mem", "gpu", "time", "partition", "signal", "h_rt", "walltime", "-W", "--requeue", "-r y", "-Q"):
        assert word not in text


@pytest.mark.parametrize("scheduler", BATCH)
def test_options_of_the_person_come_last(scheduler: str) -> None:
    assert _directives(scheduler, options=("--constraint=a100", "-x 2"))[-2:] == ["--constraint=a100", "-x 2"]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("08:00:00", 28800), ("2-00:00:01", 172801), ("90min", 5400), ("1.5 h", 5400), ("2d", 172800),
     ("100:00:00", 360000)],
)  # fmt: skip
def test_wall_times_in_every_form(given: str, seconds: int) -> None:
    assert _cluster("slurm", walltime=given).seconds == seconds


@pytest.mark.parametrize(
    ("given", "mebibytes"), [("8GB", 8192), ("8 G", 8192), ("1.5GiB", 1536), ("100K", 1), ("2T", 2097152)]
)
def test_memory_in_every_form(given: str, mebibytes: int) -> None:
    assert _cluster("slurm", memory=given).mebibytes == mebibytes


@pytest.mark.parametrize("name", ["7", "--", "out.h5", "a/b c", "ÅÄÖ", "x" * 99])
def test_names_of_jobs_suit_every_batch_system(name: str) -> None:
    found = job_name(name)
    assert found[0].isalpha()
    assert 1 <= len(found) <= 15
    assert found.replace("-", "").replace("_", "").isalnum()
    assert found.isascii()


def _stub(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o700)
    return path


def _shell(folder: Path, job: Job, cluster: ClusterRecipe) -> subprocess.Popen[bytes]:
    """The script as a batch system would start it, with what stands for the programs that it calls."""
    _stub(folder, "srun", 'echo "srun $1 $2" >> steps; shift 2; "$@"')
    _stub(folder, "scontrol", 'echo "scontrol $@" >> again')
    _stub(folder, "qsub", 'echo "qsub $@" >> again; echo 77.server')
    (folder / "job.sh").write_text(job_script(job, cluster))
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "42"}
    environment |= {"PBS_O_WORKDIR": str(folder)}
    return subprocess.Popen(["/bin/bash", "job.sh"], cwd=folder, env=environment, stdout=subprocess.PIPE)


@pytest.mark.parametrize("scheduler", BATCH)
@pytest.mark.parametrize("begun", [False, True])
def test_odd_names_arrive_as_they_are_and_what_has_begun_is_resumed(
    tmp_path: Path, scheduler: str, begun: bool
) -> None:
    home = tmp_path / ODD
    home.mkdir()
    python = _stub(tmp_path, "python '3'", 'shift 2; printf \'%s\\n\' "$PWD" "$@"; exit 5')
    if begun:
        (home / ODD).mkdir()
        (home / ODD / "recipe.yaml").touch()
    job = Job(("train", "-o", ODD), "name", home, marks=(f"{ODD}/recipe.yaml",))
    run = _shell(tmp_path, job, _cluster(scheduler, python=str(python), setup=("export A=1", "test $A = 1")))
    out, _ = run.communicate(timeout=30)
    assert out.decode().splitlines() == [str(home), "train", "-o", ODD, *(["--resume"] if begun else [])]
    assert run.returncode == 5
    assert not list(tmp_path.rglob("again"))


@pytest.mark.parametrize("scheduler", BATCH)
@pytest.mark.parametrize("requeue", [True, False])
def test_a_job_that_was_stopped_goes_back_into_the_queue(tmp_path: Path, scheduler: str, requeue: bool) -> None:
    python = _stub(tmp_path, "python", "trap 'exit 130' TERM; touch begun; while true; do sleep 0.05; done")
    cluster = _cluster(scheduler, python=str(python), requeue=requeue)
    run = _shell(tmp_path, Job(("train",), "name", tmp_path), cluster)
    deadline = time.monotonic() + 20
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if scheduler == "slurm":  # which tells the processes of the step, not the shell
        children = subprocess.run(["ps", "--ppid", str(run.pid), "-o", "pid="], capture_output=True, text=True).stdout
        subprocess.run(["pkill", "-TERM", "-P", children.split()[0]], check=False)
        os.kill(int(children.split()[0]), 0)
    else:
        run.send_signal(signal.SIGUSR2)
    run.communicate(timeout=30)
    again = (tmp_path / "again").read_text().split() if (tmp_path / "again").exists() else []
    expected = {"slurm": ["scontrol", "requeue", "42"], "pbs": ["qsub", "job.sh"]}.get(scheduler, [])
    assert again == (expected if requeue else [])
    assert run.returncode == (99 if scheduler == "sge" and requeue else 130)
    if scheduler == "pbs" and requeue:
        assert (tmp_path / NEXT_JOB).read_text() == "77.server\n"


def test_the_end_of_the_wall_time_is_told_beforehand(tmp_path: Path) -> None:
    text = job_script(Job(("train",), "x", tmp_path), _cluster("pbs", walltime="00:10:00", grace=30))
    assert "timeout --signal=TERM --preserve-status 570 " in text
