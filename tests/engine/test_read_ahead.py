"""Preparing what comes next in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from eqcli.engine.read_ahead import read_ahead


def test_everything_comes_in_order_from_another_thread() -> None:
    def source() -> Iterator[tuple[int, int]]:
        for number in range(50):
            yield number, threading.get_ident()

    found = list(read_ahead(source()))
    assert [number for number, _ in found] == list(range(50))
    assert {thread for _, thread in found} & {threading.get_ident()} == set()


def test_no_more_is_made_than_is_asked_for_and_depth() -> None:
    made = []
    asked = threading.Event()

    def source() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 3:
                asked.set()
            yield number

    with closing(read_ahead(source(), depth=2)) as ahead:
        assert next(ahead) == 0
        assert asked.wait(10)
        # One that was given, two that wait, one that is on its way into the queue.
        assert len(made) == 4
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def test_an_error_is_raised_where_the_consumer_comes_to_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    ahead = read_ahead(source())
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="gone"):
        next(ahead)
