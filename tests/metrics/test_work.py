"""Measuring on many processes: order, limits of time, deaths, and the same outcomes on one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from functools import partial

import pytest

from eqcli.metrics import pool
from eqcli.metrics.work import Outcome, measure


class Counts:
    """A reporter that counts."""

    def __init__(self) -> None:
        self.total, self.done, self.warnings = 0, 0, 0

    def message(self, text: str) -> None: ...

    def warning(self, text: str) -> None:
        self.warnings += 1

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        self.total += total or 0

    def advance(self, n: int = 1, **figures: float) -> None:
        self.done += n

    def finish(self) -> None: ...


def times(item: int, factor: int) -> int:
    return item * factor


def troubled(item: int) -> int:
    """Raises at 3, never ends at 5."""
    if item == 3:
        raise ValueError("three")
    while item == 5:
        try:
            time.sleep(0.01)
        except Exception:  # As libraries do: it must not swallow the alarm.
            continue
    return item


def deadly(item: int) -> int:
    if item == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def deaf(item: int) -> int:
    """Does not answer to the alarm at 2, as compiled code may not."""
    if item == 2:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(60)
    return item


def threads_of(item: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def unsendable(item: int) -> object:
    return (lambda: item) if item == 1 else item


class Unloadable:
    """Arrives nowhere: no process can make it."""

    def __call__(self, item: int) -> int:
        return item + 1

    def __setstate__(self, state: object) -> None:
        raise RuntimeError("not here")

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_values_come_in_the_order_of_the_items(workers: int) -> None:
    report = Counts()
    outcomes = measure(partial(times, factor=3), range(100), workers=workers, report=report)
    assert [outcome.value for outcome in outcomes] == list(range(0, 300, 3))
    assert report.total == report.done == 100


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_raises_or_takes_too_long_is_a_failure_and_the_others_go_on(workers: int) -> None:
    outcomes = measure(troubled, range(8), workers=workers, timeout=0.3)
    expected: list[Outcome[int]] = [Outcome(i) for i in range(8)]
    expected[3] = Outcome(None, "ValueError: three")
    expected[5] = Outcome(None, "took longer than 0.3 s")
    assert outcomes == expected


def test_a_process_that_is_killed_costs_one_item() -> None:
    outcomes = measure(deadly, range(10), workers=2, timeout=5)
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, 3, None, 5, 6, 7, 8, 9]
    assert outcomes[4].failure == "the process that measured it died (signal 9)"


def test_a_process_that_starts_leaves_interruptions_to_its_parent() -> None:
    """Ctrl-C reaches all processes of a terminal; a traceback of each would hide what the command says."""
    worker = pool._Worker()
    try:
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGINT)
        assert worker.connection.poll(120)
        assert worker.connection.recv() == (None, None)
    finally:
        worker.stop()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_that_does_not_answer_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 0.5)
    outcomes = measure(deaf, range(4), workers=2, timeout=0.5)
    assert [outcome.value for outcome in outcomes] == [0, 1, None, 3]
    assert outcomes[2].failure == "took longer than 0.5 s"


def test_a_result_that_cannot_be_sent_is_a_failure() -> None:
    outcomes = measure(unsendable, range(3), workers=2)
    assert [outcome.value for outcome in outcomes] == [0, None, 2]
    assert "cannot be sent" in str(outcomes[1].failure)


def number_of_process(item: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def test_kept_processes_measure_again_and_end_with_what_they_were_kept_for() -> None:
    with pool.kept_processes():
        first = {outcome.value for outcome in measure(number_of_process, range(12), workers=2)}
        tripled = measure(partial(times, factor=3), range(40), workers=2, timeout=5)
        late = measure(troubled, range(8), workers=2, timeout=0.3)
        again = {outcome.value for outcome in measure(number_of_process, range(12), workers=2)}
    assert [outcome.value for outcome in tripled] == list(range(0, 120, 3))
    assert late[5].failure == "took longer than 0.3 s"
    assert again & first
    assert not any(child.pid in first for child in multiprocessing.active_children())
    assert first.isdisjoint(outcome.value for outcome in measure(number_of_process, range(4), workers=2))


def test_a_kept_process_that_died_is_replaced() -> None:
    with pool.kept_processes():
        numbers = {outcome.value for outcome in measure(number_of_process, range(12), workers=2)}
        for number in filter(None, numbers):
            os.kill(number, signal.SIGKILL)
        assert [outcome.value for outcome in measure(deadly, range(4), workers=2)] == [0, 1, 2, 3]
        assert measure(deadly, range(6), workers=2)[4].failure == "the process that measured it died (signal 9)"
        assert [outcome.value for outcome in measure(partial(times, factor=2), range(3), workers=2)] == [0, 2, 4]


def test_the_work_is_done_here_where_no_process_starts() -> None:
    report = Counts()
    outcomes = measure(Unloadable(), range(3), workers=2, report=report)
    assert [outcome.value for outcome in outcomes] == [1, 2, 3]
    assert report.warnings == 1


def test_processes_have_one_thread_and_the_environment_here_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert [outcome.value for outcome in measure(threads_of, range(4), workers=2)] == ["1"] * 4
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_alarm_and_timer_of_the_caller_are_given_back() -> None:
    def mine(_signal: int, _frame: object) -> None: ...

    before = signal.signal(signal.SIGALRM, mine)
    signal.setitimer(signal.ITIMER_REAL, 50)
    try:
        measure(troubled, [5, 1], workers=1, timeout=0.2)
        assert signal.getsignal(signal.SIGALRM) is mine
        assert 45 < signal.getitimer(signal.ITIMER_REAL)[0] < 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_limit_holds_outside_the_main_thread() -> None:
    found: list[Outcome[int]] = []
    thread = threading.Thread(target=lambda: found.extend(measure(troubled, [5, 1], workers=1, timeout=0.3)))
    thread.start()
    thread.join(30)
    assert [outcome.value for outcome in found] == [None, 1]


def test_nothing_to_measure_is_no_work() -> None:
    assert measure(troubled, [], workers=4, timeout=1) == []
