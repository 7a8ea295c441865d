"""How much memory a job may take, read from trees of files as the kernel shows them."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eqcli.engine.batch_memory import granted
from eqcli.engine.cgroup_memory import groups, room
from eqcli.engine.memory_limit import SHARERS, VARIABLE, memory_limit, total_memory
from eqcli.engine.memory_text import bytes_text, parse_bytes
from eqcli.errors import InputError

CPU = torch.device("cpu")
GB = 10**9


def write(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="ascii")


def machine(root: Path, available: int = 64 * GB, resident: int = GB) -> Path:
    """A machine with so much memory available, and a process that holds so much."""
    meminfo = f"MemTotal: {64 * GB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {available // 1024} kB"
    write(root, {"proc/meminfo": meminfo, "proc/self/status": f"Name: x\nVmRSS: {resident // 1024} kB"})
    return root


def version_2(root: Path, path: str, top: str = "/") -> None:
    mount = f"30 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw"
    write(root, {"proc/self/cgroup": f"0::{path}", "proc/self/mountinfo": mount})
    (root / "sys/fs/cgroup" / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


def group(root: Path, path: str, limit: object, used: int, idle: int = 0) -> None:
    folder = f"sys/fs/cgroup/{path}".rstrip("/")
    stat = f"anon 5\ninactive_file {idle}\nactive_file 7"
    write(root, {f"{folder}/memory.max": limit, f"{folder}/memory.current": used, f"{folder}/memory.stat": stat})


def found(root: Path, **environment: str) -> tuple[int, str]:
    return memory_limit(CPU, environment=environment, root=root)


def test_without_limits_it_is_what_the_machine_has_available(tmp_path):
    limit = found(machine(tmp_path, available=20 * GB))
    assert limit == (pytest.approx(20 * GB, abs=1024), "memory available on the machine")


@pytest.mark.parametrize("where", ["slurm/job_1/step_0", "slurm/job_1", "slurm"])
def test_the_tightest_group_of_the_whole_path_counts(tmp_path, where):
    version_2(machine(tmp_path), "/slurm/job_1/step_0")
    for path in ("slurm/job_1/step_0", "slurm/job_1", "slurm"):
        group(tmp_path, path, 10 * GB if path == where else "max", used=3 * GB, idle=GB)
    # What lies in the cache of files is given back when it is needed.
    bytes_, source = found(tmp_path)
    assert bytes_ == 8 * GB
    assert "10 GB" in source


def test_a_group_whose_path_is_that_of_the_host_is_found_in_a_container(tmp_path):
    machine(tmp_path)
    mount = "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    write(tmp_path, {"proc/self/cgroup": "0::/docker/abc", "proc/self/mountinfo": mount})
    group(tmp_path, "", 4 * GB, used=GB)
    assert found(tmp_path)[0] == 3 * GB


def test_memory_high_stalls_a_job_and_bounds_it_too(tmp_path):
    version_2(machine(tmp_path), "/job")
    group(tmp_path, "job", 10 * GB, used=0)
    write(tmp_path, {"sys/fs/cgroup/job/memory.high": 6 * GB})
    assert found(tmp_path)[0] == 6 * GB


def test_version_1_has_its_own_hierarchy_and_writes_a_large_number_for_no_limit(tmp_path):
    machine(tmp_path)
    mounts = "\n".join(
        f"3{k} 31 0:3{k} / /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}"
        for k, name in enumerate(("cpu", "memory", "pids"))
    )
    paths = "8:pids:/x\n4:memory:/pbs/job.7\n1:cpu:/y\n0::/z"
    write(tmp_path, {"proc/self/mountinfo": mounts, "proc/self/cgroup": paths})
    for path, limit in (("pbs/job.7", 5 * GB), ("pbs", 9223372036854771712), ("", 9223372036854771712)):
        folder = f"sys/fs/cgroup/memory/{path}".rstrip("/")
        write(tmp_path, {f"{folder}/memory.limit_in_bytes": limit, f"{folder}/memory.usage_in_bytes": 2 * GB})
        write(tmp_path, {f"{folder}/memory.stat": f"cache 1\ntotal_inactive_file {GB}"})
    assert [room(one) for one in groups(tmp_path)] == [(5 * GB, 4 * GB), None, None]
    assert found(tmp_path)[0] == 4 * GB


def test_a_full_group_leaves_nothing_rather_than_less(tmp_path):
    version_2(machine(tmp_path), "/job")
    group(tmp_path, "job", GB, used=2 * GB)
    assert found(tmp_path)[0] == 0


def test_broken_files_of_the_kernel_are_as_good_as_none(tmp_path):
    version_2(machine(tmp_path, available=7 * GB), "/job")
    write(tmp_path, {"sys/fs/cgroup/job/memory.max": "", "proc/self/mountinfo": "nonsense - \n\n1 2 - cgroup2"})
    assert found(tmp_path)[0] == pytest.approx(7 * GB, abs=1024)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, 4096 << 20),
        ({"SLURM_MEM_PER_NODE": "4096", "SLURM_NTASKS_PER_NODE": "4"}, 1024 << 20),
        ({"SLURM_MEM_PER_NODE": "4096", "SLURM_TASKS_PER_NODE": "2(x3),1", "SLURM_PROCID": "0"}, 2048 << 20),
        # The batch script itself is one process, whatever it starts later.
        ({"SLURM_MEM_PER_NODE": "4096", "SLURM_TASKS_PER_NODE": "2(x3),1"}, 4096 << 20),
        ({"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_PER_TASK": "3"}, 3000 << 20),
        ({"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "8", "SLURM_NTASKS_PER_NODE": "2"}, 4000 << 20),
        ({"PBS_RESC_MEM": "8589934592"}, 1 << 33),
        ({"PBS_RESC_MEM": "16gb"}, 1 << 34),
        ({"LSB_CG_MEMLIMIT": "0x100000000"}, 1 << 32),
    ],
)
def test_what_batch_systems_grant(environment, expected):
    assert [value for value, _ in granted(environment)] == [expected]


@pytest.mark.parametrize("text", ["0", "", "all", "-5"])
def test_words_and_zero_are_no_grant(text):
    assert not list(granted({"SLURM_MEM_PER_NODE": text, "PBS_RESC_MEM": text, "LSB_CG_MEMLIMIT": text or "x"}))


def test_what_the_process_holds_already_is_part_of_a_grant(tmp_path):
    limit = found(machine(tmp_path, resident=GB), SLURM_MEM_PER_NODE=str(3 * GB >> 20))
    assert limit[0] == pytest.approx(2 * GB, abs=2 << 20)
    assert "SLURM_MEM_PER_NODE" in limit[1]


def test_a_person_may_set_less_but_not_more(tmp_path):
    machine(tmp_path, available=10 * GB, resident=GB)
    assert found(tmp_path, **{VARIABLE: "5GB"}) == (pytest.approx(4 * GB, abs=1024), VARIABLE)
    assert found(tmp_path, **{VARIABLE: "5TB"})[0] == pytest.approx(10 * GB, abs=1024)
    with pytest.raises(InputError, match="EQCLI_MEMORY: 'plenty'"):
        found(tmp_path, **{VARIABLE: "plenty"})


def test_the_whole_of_a_plan_does_not_depend_on_what_is_in_use(tmp_path):
    version_2(machine(tmp_path, available=GB), "/job")
    group(tmp_path, "job", 10 * GB, used=9 * GB)
    assert total_memory(environment={}, root=tmp_path) == (10 * GB, "control group")


def test_a_limit_of_the_process_is_seen_from_within():
    code = (
        "import resource, torch; resource.setrlimit(resource.RLIMIT_AS, (6 * 10**9, 6 * 10**9))\n"
        "from eqcli.engine.memory_limit import memory_limit\n"
        "print(*memory_limit(torch.device('cpu')))"
    )
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard not in (resource.RLIM_INFINITY,) and hard < 6 * GB:
        pytest.skip("this process is limited already")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, name = done.stdout.split(maxsplit=1)
    assert GB < int(value) < 6 * GB
    assert name.strip() == "RLIMIT_AS of 6 GB" or int(value) < 5.9 * GB


def test_workers_of_one_machine_share_alike(tmp_path):
    machine(tmp_path, available=12 * GB)
    bytes_, source = found(tmp_path, **{SHARERS: "4"})
    assert bytes_ == pytest.approx(3 * GB, abs=1024)
    assert source.endswith("shared by 4")
    assert found(tmp_path, **{SHARERS: "none"})[0] == found(tmp_path, **{SHARERS: "0"})[0] == found(tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4e9), ("3.5 GiB", 3.5 * 2**30), ("800M", 8e8), ("123456", 123456), ("1t", 1e12), (" 2kB ", 2000)],
)
def test_amounts_as_people_write_them(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "4 apples", "-3GB", "0", "1e9GB", "nan"])
def test_other_words_are_refused(text):
    with pytest.raises(InputError, match="no amount of memory"):
        parse_bytes(text)


def test_amounts_are_told_in_three_digits():
    assert [bytes_text(v) for v in (12, 3_210, 45_600_000, 7.89e9)] == ["12 bytes", "3.21 kB", "45.6 MB", "7.89 GB"]


def test_a_cuda_device_gives_what_is_free_and_what_torch_keeps_to_use_again(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 9 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * GB)
    assert memory_limit(device, environment={}) == (37 * GB, "free on cuda:0")
    assert memory_limit(device, environment={VARIABLE: "12GB"}) == (10 * GB, VARIABLE)
