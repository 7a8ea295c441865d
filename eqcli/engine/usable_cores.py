"""How many cores a command may keep busy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from eqcli.engine.cgroup_memory import cores, groups

GRANTED = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC")
"""Variables in which batch systems say how many cores a job has here: Slurm, PBS, Grid Engine and LSF."""

THREADS = "OMP_NUM_THREADS"
"""What people set for as many cores as they want used."""


def usable_cores(*, environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """The least of what each of these allows, one at least.

    The cores that the process is bound to; the quota of each control group around it, rounded up; what the batch
    system granted; and `OMP_NUM_THREADS`.
    """
    found = [available_cores()]
    found += [-int(-quota // 1) for group in groups(root, "cpu") if (quota := cores(group)) is not None]
    # OpenMP takes a list too, a number for each level of nesting.
    asked = environment.get(THREADS, "").partition(",")[0]
    found += [int(text) for text in (*(environment.get(name, "") for name in GRANTED), asked) if text.strip().isdigit()]
    return max(1, min(count for count in found if count > 0))


def available_cores() -> int:
    """Cores that this process is bound to."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
