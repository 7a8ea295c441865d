"""Which process of which training this is, and launches that would train several copies of one model."""

from __future__ import annotations

import pytest

from eqcli.engine.training_world import World, expand_hosts, find_world
from eqcli.errors import InputError

STEP = {
    "SLURM_JOB_ID": "4217",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NNODES": "2",
    "SLURM_STEP_NODELIST": "gpu[007-008]",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}
"""The sixth of eight tasks on two machines."""

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "77",
}  # fmt: skip


def test_a_plain_command_is_one_process() -> None:
    assert find_world(environment={}, gpus=4) == World()
    assert find_world(environment={}).launcher == "alone"
    assert find_world(1, 1, environment={}) == World()


@pytest.mark.parametrize(("devices", "gpus", "size"), [(3, 0, 3), ("auto", 4, 4), ("auto", 0, 1), ("auto", 1, 1)])
def test_a_command_alone_starts_the_others(devices: int, gpus: int, size: int) -> None:
    world = find_world(devices, environment={}, gpus=gpus)
    assert (world.size, world.local_size, world.rank) == (size, size, 0)
    assert world.launcher == ("own" if size > 1 else "alone")


def test_tasks_of_slurm() -> None:
    world = find_world(4, 2, environment=STEP)
    assert (world.rank, world.size, world.local_rank, world.local_size, world.nodes) == (5, 8, 1, 4, 2)
    assert world.address == "gpu007"
    assert world.launcher == "slurm"
    assert world == find_world("auto", 2, environment=STEP)
    others = [find_world(4, 2, environment={**STEP, "SLURM_PROCID": str(n)}) for n in range(8)]
    assert {(w.address, w.port) for w in others} == {(world.address, world.port)}
    assert find_world(4, 2, environment={**STEP, "SLURM_JOB_ID": "4218"}).port != world.port
    set_by_hand = find_world(4, 2, environment={**STEP, "MASTER_ADDR": "ib7", "MASTER_PORT": "1234"})
    assert (set_by_hand.address, set_by_hand.port) == ("ib7", 1234)


def test_processes_of_torchrun() -> None:
    world = find_world(environment=TORCHRUN)
    assert (world.rank, world.size, world.local_rank, world.local_size) == (3, 4, 1, 2)
    assert (world.address, world.port, world.launcher) == ("a", 77, "torchrun")
    assert find_world(2, 2, environment=TORCHRUN) == world
    # torchrun within a job step knows better than the step.
    assert find_world(environment={**STEP, **TORCHRUN}) == world


@pytest.mark.parametrize(
    ("devices", "nodes", "environment", "said", "hint"),
    [
        (None, None, STEP, "each of them would train the same model", "--devices 4 --nodes 2"),
        (2, 2, STEP, "8 processes, 4 on each machine, and --devices 2 --nodes 2 asks for 4", "--devices 4 --nodes 2"),
        (4, None, STEP, "--devices 4 --nodes 1 asks for 4", "--devices 4 --nodes 2"),
        (8, 1, STEP, "8 processes, 4 on each machine", "--devices 4 --nodes 2"),
        (None, 2, {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}, "--nodes 2 asks for 2", "--devices 1 --nodes 1"),
        (None, None, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"}, "started once, without srun", "srun eqcli train"),
        (4, 2, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_NNODES": "2"}, "without srun", "srun eqcli train"),
        (2, None, TORCHRUN | {"LOCAL_WORLD_SIZE": "4"}, "torchrun started 4", "--nproc-per-node"),
        (2, 3, TORCHRUN, "torchrun started 4 processes", "--nproc-per-node"),
        (None, None, {"OMPI_COMM_WORLD_SIZE": "4"}, "mpirun started this command 4 times", "--devices"),
        (None, None, {"PMI_SIZE": "2", "PMI_RANK": "1"}, "mpirun started this command 2 times", "--devices"),
        (2, 2, {"PMI_SIZE": "4", "PMI_RANK": "1"}, "the name of the first one", "MASTER_ADDR"),
        (3, None, {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, "mpirun started 4", "--devices"),
        (None, 2, {}, "--nodes 2 needs a launcher", "srun"),
    ],
)  # fmt: skip
def test_copies_are_refused(
    devices: int | None, nodes: int | None, environment: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(InputError) as found:
        find_world(devices, nodes, environment=environment)
    assert said in found.value.message
    assert hint in found.value.hint


def test_one_task_is_one_process() -> None:
    """A step of one task, and a job of several whose one machine this command uses by itself."""
    one = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"}
    assert find_world(environment=one) == World()
    assert find_world(2, environment=one).launcher == "own"
    assert find_world(2, environment={"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}).size == 2


def test_processes_of_mpi_that_belong_together() -> None:
    env = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
    world = find_world(2, environment={**env, "OMPI_COMM_WORLD_LOCAL_SIZE": "2"})
    assert (world.rank, world.size, world.local_rank, world.launcher) == (1, 2, 1, "mpi")


@pytest.mark.parametrize(
    ("names", "hosts"),
    [
        ("node1", ["node1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10,12],gpu-a", ["n08", "n09", "n10", "n12", "gpu-a"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("a.b.org,c[3].d", ["a.b.org", "c3.d"]),
    ],
)
def test_lists_of_hosts(names: str, hosts: list[str]) -> None:
    assert expand_hosts(names) == hosts
