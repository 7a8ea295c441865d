"""Snapshots take a bounded share of the time."""

from __future__ import annotations

import pytest

from eqcli.tasks import snapshot_clock
from eqcli.tasks.snapshot_clock import SHARE, SHORTEST, SnapshotClock


@pytest.mark.parametrize("cost", [0.0, 0.001, 0.3, 5.0])
def test_the_next_is_due_when_the_last_has_paid_off(monkeypatch, cost):
    now = 100.0
    monkeypatch.setattr(snapshot_clock.time, "monotonic", lambda: now)
    clock = SnapshotClock()
    assert not clock.due
    now += SHORTEST
    assert clock.due
    with clock.taking():
        now += cost
    wait = max(SHORTEST, cost / SHARE)
    now += 0.99 * wait
    assert not clock.due
    now += 0.02 * wait
    assert clock.due
