"""Trainings of several processes, started as a launcher would start them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# Children of the fork server are processes of their own, without the seconds of importing.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "lightning.pytorch",
        "eqcli.engine.training_session",
        "eqcli.engine.training_trainer",
        "eqcli.tasks.train",
        "tests.engine.training_case",
        "tests.tasks.train_generator_case",
    ]
)


def start(run: Callable[..., None], *arguments: Any, size: int = 2, **options: Any) -> list[BaseProcess]:
    """Processes that run a function each, told of each other as by torchrun; one process is told nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = [PROCESSES.Process(target=_one, args=(rank, size, port, run, arguments, options)) for rank in range(size)]
    for process in made:
        process.start()
    return made


def finish(processes: list[BaseProcess]) -> list[int | None]:
    """Exit codes, when all have ended; those that have not after a minute are ended."""
    for process in processes:
        process.join(60)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError("a process did not end")
    return [process.exitcode for process in processes]


def _one(rank: int, size: int, port: int, run: Callable[..., None], arguments: Any, options: Any) -> None:
    if size > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    run(*arguments, **options)


def train_toy(data: Path, output: Path, changes: dict[str, Any], fault: str = "", **options: Any) -> None:
    """Trains the toy potential, going on with what is there; ends with the exit code of the command.

    `fault` is something that goes wrong in the second process, see `_break`.
    """
    from tests.engine.training_case import make_recipe, register_toy

    register_toy()
    if fault and os.environ.get("RANK", "1") == "1":
        _break(fault)
    _train(make_recipe(data, **changes), output, **options)


def train_crystals(data: Path, output: Path, changes: dict[str, Any], **options: Any) -> None:
    """The same for a generator."""
    from tests.tasks.train_generator_case import make_recipe

    _train(make_recipe(data, **changes), output, **options)


def _train(recipe: Any, output: Path, **options: Any) -> None:
    from eqcli.errors import EqcliError
    from eqcli.tasks.train import train

    try:
        train(recipe, output, device="cpu", resume=True, **options)
    except KeyboardInterrupt:
        sys.exit(130)
    except EqcliError as error:
        folder = output.parent / "errors"
        folder.mkdir(exist_ok=True)
        (folder / f"{type(error).__name__}-{os.environ.get('RANK', '0')}.txt").write_text(str(error))
        sys.exit(int(error.exit_code))


def _break(fault: str) -> None:
    import torch

    from eqcli.engine.training_potential import PotentialObjective

    plain = PotentialObjective.share
    calls = 0

    def share(self: Any, model: Any, batch: Any, counts: Any) -> Any:
        nonlocal calls
        calls += 1
        if fault == "memory" and batch.num_nodes > 5:
            raise torch.OutOfMemoryError("no memory")
        if fault == "too-large" and calls > 3:
            raise torch.OutOfMemoryError("no memory")
        if fault == "defect" and calls > 3:
            raise ValueError("a defect")
        found = plain(self, model, batch, counts)
        return found * float("nan") if fault == "nan" and calls > 3 else found

    PotentialObjective.share = share  # type: ignore[method-assign]
