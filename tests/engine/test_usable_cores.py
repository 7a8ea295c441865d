"""How many cores a command takes, from the variables and files that say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from eqcli.engine import usable_cores as module
from eqcli.engine.usable_cores import usable_cores


@pytest.fixture(autouse=True)
def _sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_cores", lambda: 16)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 16),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "8"}, 8),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "64"}, 16),
        ({"OMP_NUM_THREADS": "many"}, 16),
        ({"OMP_NUM_THREADS": "0"}, 16),
        ({"SLURM_CPUS_PER_TASK": "8", "SLURM_CPUS_ON_NODE": "12"}, 8),
        ({"SLURM_CPUS_PER_TASK": "8", "OMP_NUM_THREADS": "8"}, 8),
        ({"SLURM_CPUS_PER_TASK": "8", "OMP_NUM_THREADS": "1"}, 1),
        ({"SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"NCPUS": "5"}, 5),
        ({"NSLOTS": "40"}, 16),
    ],
)
def test_the_least_that_anyone_says(tmp_path: Path, environment: dict[str, str], expected: int) -> None:
    assert usable_cores(environment=environment, root=tmp_path) == expected


@pytest.mark.parametrize(("text", "expected"), [("max 100000", 16), ("400000 100000", 4), ("50000 100000", 1)])
def test_the_quota_of_a_control_group(tmp_path: Path, text: str, expected: int) -> None:
    mount = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw"
    _write(tmp_path, {"proc/self/cgroup": "0::/job", "proc/self/mountinfo": mount, "sys/fs/cgroup/job/cpu.max": text})
    assert usable_cores(environment={}, root=tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 16), ("250000", 3)])
def test_the_quota_of_the_first_version(tmp_path: Path, quota: str, expected: int) -> None:
    mount = "30 23 0:26 / /sys/fs/cgroup/cpu rw shared:4 - cgroup cgroup rw,cpu,cpuacct"
    files = {"proc/self/cgroup": "3:cpu,cpuacct:/job\n2:memory:/other", "proc/self/mountinfo": mount}
    folder = "sys/fs/cgroup/cpu/job/cpu.cfs"
    _write(tmp_path, files | {f"{folder}_quota_us": quota, f"{folder}_period_us": "100000"})
    assert usable_cores(environment={}, root=tmp_path) == expected


def _write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
