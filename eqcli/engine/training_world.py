"""The processes of one training, as their launcher tells; refused where they would not work together."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eqcli.errors import InputError

Launcher = Literal["alone", "own", "slurm", "torchrun", "mpi"]

PORTS = (20_000, 30_000)
"""Ports in which those of Slurm jobs lie, by the number of the job."""

MPI = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("PALS_SIZE", "PALS_RANKID", "PALS_LOCAL_RANKID", "PALS_LOCAL_SIZE"),
)
"""Where launchers of MPI programs say how many processes there are, which one this is, and both on its machine."""

TOGETHER = "Start it as `srun eqcli train ... --devices D --nodes N`, D processes on each of N machines."


@dataclass(frozen=True)
class World:
    """One process among those of a training.

    Attributes
    ----------
    rank, size
        Number of this process, and of all.
    local_rank, local_size
        The same on its machine.
    address, port
        Where the first process listens.
    launcher
        Who started the processes; `own` where this one is to start the others on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    launcher: Launcher = "alone"

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks to people."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return max(1, self.size // self.local_size)


def find_world(
    devices: int | Literal["auto"] | None = None,
    nodes: int | None = None,
    *,
    gpus: int = 0,
    environment: Mapping[str, str] | None = None,
) -> World:
    """The processes that a command and its launcher make.

    Parameters
    ----------
    devices
        Processes on each machine, one for each device; `auto` takes every GPU, else one process. None takes those of
        `torchrun`, else one.
    nodes
        Machines; None is one, or as many as `torchrun` says.
    gpus
        GPUs that this process may see.
    environment
        Of this process; by default its own.

    Raises
    ------
    InputError
        The processes that were started are not those that were asked for: each would train a model of its own.
    """
    env = os.environ if environment is None else environment
    if env.get("WORLD_SIZE") and env.get("RANK") and env.get("MASTER_ADDR"):
        return _of_torchrun(env, devices, nodes)
    if "SLURM_STEP_ID" in env or "SLURM_STEPID" in env:
        tasks = int(env.get("SLURM_STEP_NUM_TASKS") or env.get("SLURM_NTASKS") or 1)
        if tasks > 1 or (nodes or 1) > 1:
            return _of_slurm(env, tasks, devices, nodes)
    else:
        _refuse_idle_tasks(env, devices)
    for names in MPI:
        if int(env.get(names[0]) or 1) > 1 and "SLURM_STEP_ID" not in env:
            return _of_mpi(env, names, devices, nodes)
    if (nodes or 1) > 1:
        raise InputError(
            f"--nodes {nodes} needs a launcher: this command was started once, on one machine",
            hint=f"{TOGETHER} Or start it with torchrun on every machine.",
        )
    count = max(1, gpus) if devices == "auto" else devices or 1
    return World(size=count, local_size=count, launcher="own" if count > 1 else "alone")


def _of_torchrun(env: Mapping[str, str], devices: int | str | None, nodes: int | None) -> World:
    size, local = int(env["WORLD_SIZE"]), int(env.get("LOCAL_WORLD_SIZE") or env["WORLD_SIZE"])
    world = World(
        int(env["RANK"]), size, int(env.get("LOCAL_RANK") or env["RANK"]), local,
        env["MASTER_ADDR"], int(env.get("MASTER_PORT") or 29500), "torchrun",
    )  # fmt: skip
    _compare(world, devices, nodes, "torchrun", "Give torchrun --nproc-per-node and --nnodes those numbers.")
    return world


def _of_slurm(env: Mapping[str, str], tasks: int, devices: int | str | None, nodes: int | None) -> World:
    """Raises InputError where the tasks of a job step are not the processes that were asked for."""
    if devices is None and nodes is None:
        raise InputError(
            f"srun started this command {tasks} times, and each of them would train the same model on its own",
            hint=f"Say that they belong together: {_matching(env, tasks)}; or start one task with srun --ntasks=1.",
        )
    hosts = expand_hosts(env.get("SLURM_STEP_NODELIST") or env.get("SLURM_NODELIST") or "localhost")
    rank = int(env.get("SLURM_PROCID") or 0)
    first, count = PORTS
    port = int(env.get("MASTER_PORT") or first + int(env.get("SLURM_JOB_ID") or 0) % (count - first))
    there = int(env.get("SLURM_STEP_NUM_NODES") or env.get("SLURM_NNODES") or len(hosts))
    local = max(1, tasks // there)
    world = World(
        rank, tasks, int(env.get("SLURM_LOCALID") or 0), local, env.get("MASTER_ADDR") or hosts[0], port, "slurm"
    )
    _compare(world, devices, nodes, "srun", f"Write {_matching(env, tasks)}, or start other numbers of tasks.")
    return world


def _refuse_idle_tasks(env: Mapping[str, str], devices: int | str | None) -> None:
    """Raises InputError in the script of a job of several tasks, of which all but this process would do nothing."""
    tasks = int(env.get("SLURM_NTASKS") or 1)
    alone = int(env.get("SLURM_NNODES") or 1) == 1 and devices is not None
    if tasks > 1 and "SLURM_JOB_ID" in env and not alone:
        raise InputError(
            f"this Slurm job has {tasks} tasks and the command was started once, without srun",
            hint=f"Write srun before the command: srun eqcli train ... {_matching(env, tasks)}; or ask for one task.",
        )


def _of_mpi(env: Mapping[str, str], names: tuple[str, ...], devices: int | str | None, nodes: int | None) -> World:
    size, rank = int(env[names[0]]), int(env.get(names[1]) or 0)
    if devices is None and nodes is None:
        raise InputError(
            f"mpirun started this command {size} times, and each of them would train the same model on its own",
            hint="Say that they belong together with --devices and --nodes, or start it once: with --devices D the "
            "command starts D processes by itself.",
        )
    local = int(env.get(names[3]) or (devices if isinstance(devices, int) else size))
    if size > local and "MASTER_ADDR" not in env:
        raise InputError(
            "processes on several machines need the name of the first one, which mpirun does not tell",
            hint="Set MASTER_ADDR (and MASTER_PORT) for all of them, or use srun or torchrun.",
        )
    world = World(
        rank, size, int(env.get(names[2]) or rank % local), local,
        env.get("MASTER_ADDR") or "127.0.0.1", int(env.get("MASTER_PORT") or PORTS[0]), "mpi",
    )  # fmt: skip
    _compare(world, devices, nodes, "mpirun", "Start as many processes as --devices times --nodes.")
    return world


def _compare(world: World, devices: int | str | None, nodes: int | None, launcher: str, hint: str) -> None:
    """Raises InputError where a launcher started other processes than the command asks for."""
    wanted = world.local_size if devices in (None, "auto") else int(devices or 1)
    machines = world.nodes if nodes is None and devices in (None, "auto") else nodes or 1
    if launcher == "torchrun" and nodes is None:
        machines = world.nodes
    if wanted * machines != world.size or wanted != world.local_size:
        raise InputError(
            f"{launcher} started {world.size} processes, {world.local_size} on each machine, and --devices {wanted} "
            f"--nodes {machines} asks for {wanted * machines}",
            hint=hint,
        )


def _matching(env: Mapping[str, str], tasks: int) -> str:
    nodes = max(1, int(env.get("SLURM_STEP_NUM_NODES") or env.get("SLURM_NNODES") or 1))
    return f"--devices {max(1, tasks // nodes)} --nodes {nodes}"


def expand_hosts(names: str) -> list[str]:
    """The hosts of a list as Slurm writes it, e.g. `n[01-03,7],gpu-a`."""
    found: list[str] = []
    for item in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", names):
        stems = [""]
        for text, ranges in re.findall(r"([^\[\]]*)(?:\[([^\]]*)\])?", item):
            ends = [text + end for end in _numbers(ranges)] if ranges else [text]
            stems = [stem + end for stem in stems for end in ends]
        found += stems
    return found


def _numbers(ranges: str) -> list[str]:
    """The numbers of `01-03,7`, filled up with zeros as they are written."""
    found = []
    for part in ranges.split(","):
        low, _, high = part.partition("-")
        found += [str(n).zfill(len(low)) for n in range(int(low), int(high or low) + 1)]
    return found
