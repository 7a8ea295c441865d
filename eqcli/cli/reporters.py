"""The three ways in which progress of a task is shown."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.cli.console import Console

FIRST_LINE = 5.0
"""Seconds before the first plain line about a piece of work."""
LONGEST_GAP = 300.0
"""Seconds between plain lines in the long run; the gap doubles until then."""
WORTH_TELLING = 1.0
"""Work shorter than this many seconds ends without a line."""
AT_ONCE = 0.01
"""What is counted within this many seconds of the start was done earlier, by the run that is resumed."""


@dataclass
class Work:
    """A countable piece of work under way."""

    label: str
    total: int | None
    unit: str
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    before: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    next_line: float = FIRST_LINE
    gap: float = FIRST_LINE

    def advance(self, n: int, figures: dict[str, float]) -> None:
        """Counts `n` more and keeps the latest figures."""
        self.done += n
        if self.seconds < AT_ONCE:
            self.before = self.done
        self.figures.update(figures)

    @property
    def seconds(self) -> float:
        """Time since it began."""
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Units per second since it began."""
        return (self.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    def line(self) -> str:
        """Its state in one line: count, share, throughput, time left, figures."""
        count = f"{self.done}/{self.total} {self.unit}" if self.total else f"{self.done} {self.unit}"
        parts = [count]
        if self.total:
            parts.append(f"{100 * self.done / self.total:.0f} %")
        parts.append(f"{self.rate:.3g} {self.unit}/s")
        if self.total and self.rate > 0 and self.done < self.total:
            parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        parts.extend(shown_figures(self.figures))
        return f"{self.label}: {', '.join(parts)}"

    def end_line(self) -> str:
        """Its summary in one line when it is over."""
        count = self.done - self.before
        parts = [f"{count} {self.unit} in {duration(self.seconds)}", f"{self.rate:.3g} {self.unit}/s"]
        return f"{self.label}: {', '.join([*parts, *shown_figures(self.figures)])}"


class WarningsOnly:
    """For `--quiet`."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def message(self, text: str) -> None: ...

    def warning(self, text: str) -> None:
        self.console.note(f"warning: {text}", "warning")

    def start(self, label: str, total: int | None, unit: str = "it") -> None: ...

    def advance(self, n: int = 1, **figures: float) -> None: ...

    def finish(self) -> None: ...


class LineReporter(WarningsOnly):
    """For logs: a plain line after some seconds, then less and less often, and one at the end."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.works: list[Work] = []

    def message(self, text: str) -> None:
        self.console.note(text)

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        self.works.append(Work(label, total, unit))

    def advance(self, n: int = 1, **figures: float) -> None:
        if not self.works:
            return
        work = self.works[-1]
        work.advance(n, figures)
        if work.seconds >= work.next_line:
            self.console.note(work.line())
            work.gap = min(2 * work.gap, LONGEST_GAP)
            work.next_line = work.seconds + work.gap

    def finish(self) -> None:
        work = self.works.pop() if self.works else None
        if work is not None and work.seconds >= WORTH_TELLING:
            self.console.note(work.end_line())


class BarReporter(WarningsOnly):
    """For terminals: bars with throughput and time left, which vanish when the work is over."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.works: list[tuple[Work, Any]] = []
        self._progress: Any = None

    def message(self, text: str) -> None:
        self._above(text)

    def warning(self, text: str) -> None:
        self._above(f"warning: {text}", "yellow")

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        progress = self._progress or self._begin()
        work = Work(label, total, unit)
        self.works.append((work, progress.add_task(label, total=total, rate="", figures="")))

    def advance(self, n: int = 1, **figures: float) -> None:
        if not self.works:
            return
        work, task = self.works[-1]
        work.advance(n, figures)
        shown = ", ".join(shown_figures(work.figures))
        self._progress.update(task, completed=work.done, rate=f"{work.rate:.3g} {work.unit}/s", figures=shown)

    def finish(self) -> None:
        if not self.works:
            return
        work, task = self.works.pop()
        self._progress.remove_task(task)
        if work.seconds >= WORTH_TELLING:
            self._above(work.end_line())
        if not self.works:
            self.stop()

    def stop(self) -> None:
        """Takes the bars off the screen; also when a task ended without finishing its work."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self.works.clear()

    def _above(self, text: str, style: str | None = None) -> None:
        if self._progress is None:
            self.console.note(text, "warning" if style else "plain")
        else:
            self._progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _begin(self) -> Any:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("{task.fields[figures]}", markup=False),
            console=RichConsole(file=self.console.err, force_terminal=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.start()
        return self._progress


def shown_figures(figures: dict[str, float]) -> list[str]:
    """Current values with their names."""
    return [f"{name} {value:.4g}" for name, value in figures.items()]


def duration(seconds: float) -> str:
    """A time for people: `0.42 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
