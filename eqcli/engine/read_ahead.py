"""Preparing what comes next while the present is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""Between two looks whether anybody still waits."""


def read_ahead(source: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """What `source` gives, in its order, made by a thread up to `depth` ahead.

    `source` runs in that thread alone. What it raises is raised where the consumer comes to it; when the consumer ends
    earlier, the thread ends after what it is at.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stop.is_set():
            try:
                return ready.put(entry, timeout=LOOK_SECONDS)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for one in source:
                put((one, None))
                if stop.is_set():
                    return
        except BaseException as error:  # the consumer is to see it
            put((None, error))
        else:
            put((None, _End()))

    thread = threading.Thread(target=work, daemon=True, name="read ahead")
    thread.start()
    try:
        while True:
            one, error = ready.get()
            if isinstance(error, _End):
                return
            if error is not None:
                raise error
            yield one  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


class _End(Exception):
    """Nothing comes any more."""
