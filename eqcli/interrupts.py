"""Short work that an interruption has to wait for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and the batch system's request to stop take effect at the end of the block, not in its middle.

    An exception between two calls of a library that writes a file may leave the file unreadable. Only the main
    thread is interrupted by signals; elsewhere the block runs as it is.
    """
    held: list[tuple[int, FrameType | None]] = []
    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *received: held.append(received))
    except ValueError:
        pass
    try:
        yield
    finally:
        for known, handler in before.items():
            signal.signal(known, signal.SIG_DFL if handler is None else handler)
        for received, frame in held:
            if callable(before[received]):
                before[received](received, frame)
            elif before[received] is not signal.SIG_IGN:
                signal.raise_signal(received)
