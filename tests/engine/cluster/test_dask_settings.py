"""What Dask is told has to reach it before it starts."""

from __future__ import annotations

from eqcli.engine.cluster.dask_settings import WITHOUT_LOOKING
from eqcli.engine.cluster.workers import open_workers
from tests.engine.cluster import work


def test_a_worker_starts_with_the_settings() -> None:
    with open_workers(1) as pool:
        ((_, (settings, looks)),) = pool.map(work.dask_settings, [0], list(WITHOUT_LOOKING))
    assert settings == list(WITHOUT_LOOKING.values())
    assert "heartbeat" in looks
    assert "profile" not in looks
    assert looks["tick"] >= 1000  # milliseconds; fifty times a second otherwise
