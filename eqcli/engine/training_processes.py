"""What the processes of a training tell each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from eqcli.engine.training_world import World
from eqcli.errors import EqcliError, ExitCode, InputError

T = TypeVar("T")

SILENCE = 600.0
"""Seconds: a process that says nothing for so long is given up by the others."""

PREPARATION = timedelta(days=7)
"""The others wait this long for the first one to read and prepare the data; should it end, they notice at once."""


class Lost(EqcliError):
    """Another process of a training ended or did not answer."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            "another process of this training ended or does not answer",
            hint=f"Its own message says why, if it could leave one ({_first_line(error)}). Go on with --resume.",
            exit_code=ExitCode.INTERRUPTED,
        )


class ToldElsewhere(EqcliError):
    """This process ends as all do; the first one has said why."""


class Processes:
    """The processes of a training; with one process every question is answered at once.

    Small facts go through the memory of the machines (gloo), gradients from device to device (NCCL on GPUs).
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.rank = world.rank
        self.size = world.size
        self.is_first = world.is_first

    def largest(self, values: list[float]) -> list[float]:
        """The largest of each number over the processes."""
        if self.size == 1:
            return values
        return self._reduced(torch.tensor(values, dtype=torch.float64), distributed.ReduceOp.MAX).tolist()

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes of a tensor on any device; the same to the last bit for all of them."""
        return self._reduced(values, distributed.ReduceOp.SUM)

    def gathered(self, value: T) -> list[T]:
        """What each process has, in their order."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with self.lost():
            distributed.all_gather_object(found, value, group=self._facts)
        return found

    def same(self, tensors: list[Tensor]) -> None:
        """Sets tensors to those of the first process."""
        if self.size > 1:
            with self.lost():
                for tensor in tensors:
                    distributed.broadcast(tensor.detach(), src=0)

    def first_first(self, work: Callable[[bool], T]) -> T:
        """`work(True)` in the first process, then `work(False)` in the others; where the first fails, all do."""
        if self.size == 1:
            return work(True)
        result, error = None, None
        if self.is_first:
            try:
                result = work(True)
            except BaseException as caught:
                error = caught
        told = [_told(error)]
        with self.lost():
            distributed.broadcast_object_list(told, src=0, group=self._patient)
        if error is not None:
            raise error
        if told[0] is not None:
            raise self.common(EqcliError(told[0][0], exit_code=ExitCode(told[0][1])))
        return result if self.is_first else work(False)  # type: ignore[return-value]

    def common(self, error: EqcliError) -> EqcliError:
        """The error as one that every process raises: the first one tells it."""
        error.told = not self.is_first  # type: ignore[attr-defined]
        return error

    def _reduced(self, values: Tensor, operation: Any) -> Tensor:
        if self.size > 1:
            with self.lost():
                distributed.all_reduce(values, operation)
        return values

    @contextmanager
    def lost(self) -> Iterator[None]:
        """What libraries raise when another process is gone becomes :class:`Lost`."""
        try:
            yield
        except RuntimeError as error:
            raise self.common(Lost(error)) from error

    @contextmanager
    def connected(self) -> Iterator[Processes]:
        """The processes can talk within the block. Raises InputError where they do not find each other."""
        if self.size == 1:
            yield self
            return
        world, hook = self.world, sys.excepthook
        where = "env://" if world.launcher == "torchrun" else f"tcp://{world.address}:{world.port}"
        # All on one machine need no name of it that others can resolve.
        local = world.local_size == world.size and sys.platform == "linux"
        with _variable("GLOO_SOCKET_IFNAME", "lo" if local else None):
            try:
                distributed.init_process_group(
                    "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                    init_method=where,
                    rank=world.rank,
                    world_size=world.size,
                    timeout=timedelta(seconds=SILENCE),
                )
                self._facts = distributed.new_group(backend="gloo", timeout=timedelta(seconds=SILENCE))
                self._patient = distributed.new_group(backend="gloo", timeout=PREPARATION)
            except RuntimeError as error:
                raise InputError(
                    f"the {world.size} processes of this training did not find each other at "
                    f"{world.address}:{world.port}: {_first_line(error)}",
                    hint="Another program may have that port (set MASTER_PORT), or the machines cannot reach it.",
                ) from error
        try:
            yield self
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            sys.excepthook = hook  # torch puts the number of the process before every line


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """An environment variable is set within the block, unless it is set already."""
    if value is None or name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _told(error: BaseException | None) -> tuple[str, int] | None:
    """What the others are told of an error, and the exit code that goes with it."""
    if error is None:
        return None
    stopped = ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.INTERNAL
    return str(error) or type(error).__name__, int(getattr(error, "exit_code", stopped))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
