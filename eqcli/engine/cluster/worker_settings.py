"""Sets what a worker's Dask is to do: imported by it (`--preload`) before it reads its settings, and by nobody else."""

from __future__ import annotations

import dask.config

from eqcli.engine.cluster.dask_settings import WITHOUT_LOOKING

dask.config.set(WITHOUT_LOOKING)
