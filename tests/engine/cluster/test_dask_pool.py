"""Workers of this machine: nothing is lost with those that die, and none outlives its coordinator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eqcli.engine.cluster.workers import Lost, Workers, open_workers, threads_each
from eqcli.engine.usable_cores import usable_cores
from eqcli.errors import InputError
from eqcli.recipe.cluster import ClusterRecipe
from tests.engine.cluster import work
from tests.killing import is_there

pytest.importorskip("distributed")
SQUARES = {number: number * number for number in range(12)}

SCRIPT = """
import sys
from pathlib import Path
from eqcli.engine.cluster.workers import open_workers
from tests.engine.cluster import work

folder = Path(sys.argv[1])
with open_workers(2) as workers:
    for number, _ in workers.map(work.slow_square, range(1000), folder, 0.3):
        print(number, flush=True)
"""
"""Nothing guards it against being run again in the workers, as nothing guards people's scripts."""


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with open_workers(2) as workers:
        yield workers


def test_every_number_is_done_once(two: Workers) -> None:
    found = list(two.map(work.square, range(12)))
    assert len(found) == 12
    assert dict(found) == SQUARES


def test_what_a_number_stands_for_goes_along(two: Workers) -> None:
    words = {1: "one", 2: "two"}
    found = dict(two.map(work.told, words, "number", content=words.__getitem__))
    assert found == {1: "number 1: one", 2: "number 2: two"}


def test_numbers_are_drawn_as_workers_need_them(two: Workers) -> None:
    drawn = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    first = next(iter(two.map(work.square, numbers())))
    assert first[0] in SQUARES
    assert len(drawn) < 20


def test_several_processes_share_the_threads(two: Workers) -> None:
    found = [result for _, result in two.map(work.threads, range(6))]
    assert len({process for _, process in found}) == 2
    assert str(os.getpid()) not in {process for _, process in found}
    assert {count for count, _ in found} == {max(1, usable_cores() // 2)}


def test_a_dead_workers_number_is_done_by_another(two: Workers, tmp_path: Path) -> None:
    assert dict(two.map(work.dies_once, range(12), tmp_path, 4)) == SQUARES
    assert (tmp_path / "died").exists()


def test_a_number_that_kills_every_worker_is_given_up_and_the_others_are_done(two: Workers) -> None:
    found = dict(two.map(work.dies_always, range(5), 3))
    assert isinstance(found.pop(3), Lost)
    assert found == {0: 0, 1: 1, 2: 4, 4: 16}


def test_deaths_do_not_count_where_the_work_gets_on(two: Workers, tmp_path: Path) -> None:
    def progress(number: int) -> str | None:
        mark = tmp_path / f"steps-{number}"
        return mark.read_text() if mark.exists() else None

    assert dict(two.map(work.gets_on, range(3), tmp_path, progress=progress)) == {0: 0, 1: 5, 2: 0}


def test_a_mistake_found_by_a_worker_is_raised_here_after_what_came_before_it(two: Workers) -> None:
    found = {}
    with pytest.raises(InputError, match="this cannot be") as error:
        found |= dict(two.map(work.fails_late, range(12)))
    assert error.value.where.frame == 6
    assert error.value.hint == "Leave it out."
    assert dict(two.map(work.square, range(12))) == SQUARES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_coordinator(tmp_path: Path, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("at-work-*"))) < 2:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(number)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == -number
    assert b"KeyboardInterrupt" in errors or number == signal.SIGKILL
    pids = [int(path.name.split("-")[-1]) for path in tmp_path.glob("at-work-*")]
    while any(is_there(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_certificates_of_another_run_are_turned_away(two: Workers, tmp_path: Path) -> None:
    from distributed import Client

    from eqcli.engine.cluster.credentials import have_openssl, make_credentials

    if not have_openssl():
        pytest.skip("there is no openssl")
    address = two.client.scheduler.address  # type: ignore[attr-defined]
    assert address.startswith("tls://127.0.0.1:")
    other = make_credentials(tmp_path / "other")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "other").iterdir()} == {0}
    with pytest.raises(OSError, match="TLS certificate does not match"):
        Client(address, security=other, timeout=3)


def test_workers_can_be_opened_again_in_a_process_that_knew_nothing_of_them(tmp_path: Path) -> None:
    script = "from eqcli.engine.cluster.workers import open_workers\n"
    script += "for _ in range(2):\n    with open_workers(1):\n        pass\n"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=tmp_path)


def test_workers_that_cannot_start_say_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho there is no library >&2\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(InputError, match="end before they are ready") as error, open_workers(1) as workers:
        list(workers.map(work.square, range(2)))
    assert "there is no library" in error.value.hint


def test_threads_are_those_that_the_cluster_gives() -> None:
    assert threads_each(4, ClusterRecipe(task="cluster", scheduler="slurm", cores=8)) == 8
    assert threads_each(4, ClusterRecipe(task="cluster", scheduler="slurm")) == 1
    assert threads_each(10_000) == 1


def test_a_batch_system_that_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    cluster = ClusterRecipe(task="cluster", scheduler="lsf", security="none")
    with pytest.raises(InputError, match="'bsub' of LSF is not on this machine"), open_workers(2, cluster):
        pass
