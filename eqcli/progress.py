"""How a task tells its caller how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receives what a running task has to say. The command line draws it; a script may ignore it."""

    def message(self, text: str) -> None:
        """One line worth keeping in a log."""

    def warning(self, text: str) -> None:
        """One line about something suspicious that does not stop the work."""

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        """A countable piece of work begins; `total` is None when its size is unknown."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """`n` more units are done; `figures` are current values worth showing (loss, fmax)."""

    def finish(self) -> None:
        """The current piece of work is over."""


class Silent:
    """A reporter that says nothing; the default of every task."""

    def message(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def start(self, label: str, total: int | None, unit: str = "it") -> None: ...

    def advance(self, n: int = 1, **figures: float) -> None: ...

    def finish(self) -> None: ...
