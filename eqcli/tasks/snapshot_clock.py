"""When to take snapshots of work under way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHORTEST = 0.5
"""Seconds between two snapshots, at least."""

SHARE = 0.02
"""Of the time may go into snapshots."""


class SnapshotClock:
    """Says when the next snapshot is due: as often as its cost allows, which grows with what is under way."""

    def __init__(self) -> None:
        self._next = time.monotonic() + SHORTEST

    @property
    def due(self) -> bool:
        """Whether a snapshot is worth its cost by now."""
        return time.monotonic() >= self._next

    @contextmanager
    def taking(self) -> Iterator[None]:
        """The snapshot is taken inside."""
        begin = time.monotonic()
        yield
        now = time.monotonic()
        self._next = now + max(SHORTEST, (now - begin) / SHARE)
