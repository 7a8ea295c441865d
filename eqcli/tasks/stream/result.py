"""What a request came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import Failure, Where
from eqcli.tasks.stream.heartbeat import Beat

LISTED = 1000
"""Failures that are told at the end; all of them are in the table."""


@dataclass
class StreamResult:
    """The end of a request.

    Attributes
    ----------
    output
        The file with the results; None where there are none.
    trajectory
        The file with the frames; None where there are none.
    items, failed
        How many there were, failed ones among them, and how many failed.
    earlier
        Items that an earlier call had done.
    failures
        The first of those that failed, in input order.
    table
        The file with all that failed; None where nothing did.
    figures
        What the task noted of each chunk, in order.
    workers
        Who did it.
    seconds
        Time of this call.
    """

    output: Path | None = None
    trajectory: Path | None = None
    items: int = 0
    failed: int = 0
    earlier: int = 0
    failures: list[Failure] = field(default_factory=list)
    table: Path | None = None
    figures: list[Mapping[str, Any]] = field(default_factory=list)
    workers: list[Beat] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def devices(self) -> str:
        """What it was computed on, in words: `cpu`, or `cuda:0 (4 processes)`."""
        names = sorted({beat.device for beat in self.workers})
        count = f" ({len(self.workers)} processes)" if len(self.workers) > 1 else ""
        return ", ".join(names) + count

    def listed(self) -> list[Failure]:
        """The failures for a person to read: the first of them, and where the rest is."""
        rest = self.failed - len(self.failures)
        if rest <= 0:
            return list(self.failures)
        more = Failure(f"{rest} more", f"see {self.table}", Where(self.table))
        return [*self.failures, more]
