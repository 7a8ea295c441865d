"""What a batch system granted a job of memory, as far as its variables say.

Batch systems that enforce memory do so by control groups or by limits of the process, which are read from the
system itself; these variables count where nothing is enforced and a job that takes more is killed or cancelled later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

MEBIBYTE = 1 << 20


def granted(environment: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Bytes for this process and the variable that says so; several processes of a job on one node share alike."""
    tasks = max(1, _tasks(environment))
    # Slurm counts in MiB; 0 stands for all memory of the node.
    if node := _number(environment, "SLURM_MEM_PER_NODE"):
        yield node * MEBIBYTE // tasks, "SLURM_MEM_PER_NODE"
    if core := _number(environment, "SLURM_MEM_PER_CPU"):
        cores = _number(environment, "SLURM_CPUS_PER_TASK")
        own = cores or (_number(environment, "SLURM_CPUS_ON_NODE") or 1) / tasks
        yield int(core * own * MEBIBYTE), "SLURM_MEM_PER_CPU"
    if (value := _pbs(environment.get("PBS_RESC_MEM", ""))) > 0:
        yield value, "PBS_RESC_MEM"
    # LSF, where it uses control groups: a hexadecimal number of bytes.
    if (value := _hexadecimal(environment.get("LSB_CG_MEMLIMIT", ""))) > 0:
        yield value, "LSB_CG_MEMLIMIT"


def _pbs(text: str) -> int:
    """Bytes, or an amount such as `16gb`, which PBS counts in powers of 1024; 0 for anything else."""
    match = re.fullmatch(r"(\d+)([kmgt]?)b?", text.strip().lower())
    return int(match.group(1)) * 1024 ** " kmgt".index(match.group(2) or " ") if match else 0


def _hexadecimal(text: str) -> int:
    try:
        return int(text.strip(), 16)
    except ValueError:
        return 0


def _tasks(environment: Mapping[str, str]) -> int:
    """Processes of the job step on this node; SLURM_TASKS_PER_NODE is a list such as `4(x2),3`, for which the most."""
    if one := _number(environment, "SLURM_NTASKS_PER_NODE"):
        return one
    if "SLURM_PROCID" not in environment:
        return 1
    counts = re.findall(r"(\d+)(?:\(x\d+\))?", environment.get("SLURM_TASKS_PER_NODE", ""))
    return max(map(int, counts), default=1)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "").strip()
    return int(text) if text.isdigit() else 0
