"""A reporter that tests can ask what a task said."""

from __future__ import annotations

from eqcli.progress import Silent


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.count = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def advance(self, n: int = 1, **figures: float) -> None:
        self.count += n
