"""What Dask is told, in the coordinator and in workers.

Of itself Dask looks at each of its processes up to a hundred times a second, for pages about them that nobody opens
here: five hundredths of every core. What is left are the signs of life, by which lost workers are known.
"""

from __future__ import annotations

from typing import Any

WITHOUT_LOOKING: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "5s",
    "distributed.admin.tick.cycle": "60s",
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    # There are no data that workers hold for each other.
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.client.scheduler-info-interval": "60s",
}

COORDINATOR: dict[str, Any] = WITHOUT_LOOKING | {
    # The coordinator counts itself who dies of what.
    "distributed.scheduler.allowed-failures": 0,
    # One chunk for one worker; others wait with the scheduler, and a death is no fault of theirs.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.timeouts.tcp": "60s",
    "distributed.admin.log-length": 100,
    # What a chunk is made of may go along with it.
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
