"""What a worker's process does at its start, beside what Dask does: it ends when nobody waits for it any more."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

WATCHED = "EQCLI_WORKER_ENDS_WITH_INPUT"
"""Set where the standard input of a worker is a pipe that closes when its coordinator ends."""

CHECK_SECONDS = 1.0
LAST_SECONDS = 5.0
"""How long a worker that is closing may go on with its chunk; what it has not committed is done again elsewhere."""


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinator, which ends its workers.
    if os.environ.get(WATCHED):
        threading.Thread(target=_end_with_input, daemon=True).start()
    threading.Thread(target=_end_when_closed, args=(worker,), daemon=True).start()


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def _end_when_closed(worker: Any) -> None:
    """A worker without its scheduler would go on writing into a chunk that another one has by then."""
    while worker.status.name not in ("closing", "closed", "failed", "closing_gracefully"):
        time.sleep(CHECK_SECONDS)
    time.sleep(LAST_SECONDS)
    os._exit(1)
