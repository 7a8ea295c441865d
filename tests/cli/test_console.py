"""Progress and tables: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eqcli.cli import reporters
from eqcli.cli.console import Console, jsonable
from eqcli.cli.reporters import BarReporter, LineReporter, duration
from eqcli.errors import Failure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time that tests move."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def console(stream: io.StringIO, **options: bool) -> Console:
    made = Console(**options)
    made.out = made.err = stream
    return made


def test_a_log_gets_few_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(reporters.time, "monotonic", clock.monotonic)
    stream = io.StringIO()
    report = console(stream).report
    assert isinstance(report, LineReporter)
    report.start("training", 1000, "step")
    report.works[-1].began = 0.0  # type: ignore[attr-defined]
    for _ in range(1000):
        clock.now += 1.0
        report.advance(1, loss=0.5)
    report.finish()
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 12
    assert lines[0] == "training: 5/1000 step, 0 %, 1 step/s, 16 min 35 s left, loss 0.5"
    assert lines[-1] == "training: 1000 step in 16 min 40 s, 1 step/s, loss 0.5"
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_resumed_work_counts_what_is_done_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(reporters.time, "monotonic", clock.monotonic)
    stream = io.StringIO()
    report = console(stream).report
    report.start("training", 200, "step")
    report.works[-1].began = 0.0  # type: ignore[attr-defined]
    report.advance(100)
    clock.now = 10.0
    report.advance(50)
    report.finish()
    assert stream.getvalue().splitlines() == [
        "training: 150/200 step, 75 %, 5 step/s, 10 s left",
        "training: 50 step in 10 s, 5 step/s",
    ]


def test_short_work_says_nothing() -> None:
    stream = io.StringIO()
    report = console(stream).report
    report.start("reading", None, "frame")
    report.advance(3)
    report.finish()
    report.finish()
    report.advance()
    assert stream.getvalue() == ""


def test_quiet_leaves_warnings() -> None:
    stream = io.StringIO()
    report = console(stream, quiet=True).report
    report.message("hello")
    report.start("x", 1)
    report.advance()
    report.finish()
    report.warning("odd")
    assert stream.getvalue() == "warning: odd\n"


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    report = console(stream).report
    assert isinstance(report, BarReporter)
    report.start("outer", 2)
    report.start("training", None, "step")
    report.advance(2, loss=0.25)
    report.message("[brackets] stay")
    report.finish()
    report.finish()
    assert report._progress is None
    assert "[brackets] stay" in stream.getvalue()


def test_no_color_and_dumb_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    console(stream).note("x", "error")
    assert stream.getvalue() == "\x1b[1;31mx\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    console(stream).note("y", "error")
    assert stream.getvalue().endswith("m\ny\n")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(console(Terminal()).report, LineReporter)


def test_forced_colour_of_libraries_does_not_reach_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    made = console(stream)
    made.note("x", "error")
    made.failures([Failure("a", "b")])
    assert "\x1b" not in stream.getvalue()


def test_tables_are_aligned() -> None:
    stream = io.StringIO()
    console(stream).table(("item", "n"), [("a", 5), ("long name", 100)])
    assert stream.getvalue() == "item         n\na            5\nlong name  100\n"


def test_json_takes_what_results_hold() -> None:
    data = {"a": np.float64(1.5), "b": np.arange(2), "c": Path("x"), "d": float("inf"), 3: (True, None)}
    assert json.loads(json.dumps(jsonable(data))) == {"a": 1.5, "b": [0, 1], "c": "x", "d": None, "3": [True, None]}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.123, "0.12 s"), (12.3, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "raised",
    [
        "OSError(28, 'No space left on device', '/tmp/x.csv')",
        "RuntimeError(\"Can't close dataset (file write failed, filename = '/tmp/x.csv', No space left on device)\")",
    ],
)
def test_a_full_disk_is_no_defect(raised: str) -> None:
    # In a process of its own: the exit code must survive the crash of HDF5 at the end.
    crash = "import atexit, os; atexit.register(os.abort)\n" if "filename =" in raised else ""
    code = (
        f"{crash}import typer\n"
        "from eqcli.cli.session import session\n"
        "try:\n    with session():\n"
        f"        raise {raised}\n"
        "except typer.Exit as stop:\n    raise SystemExit(stop.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "/tmp/x.csv: the disk is full" in done.stderr
    assert "defect" not in done.stderr
