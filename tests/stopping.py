"""Trainings that are stopped on the way, and what they end with all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.killing import kill_when, newest_step


@contextmanager
def power_cut(owner: type, method: str, call: int) -> Iterator[None]:
    """The block ends with the `call`-th call of a method, in an error that has to come."""
    plain, calls = getattr(owner, method), 0

    def failing(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise RuntimeError("power cut")
        return plain(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, failing)
        with pytest.raises(RuntimeError, match="power cut"):
            yield


def assert_same_end(found: Path, expected: Path) -> None:
    """The runs in two folders gave the same weights, to the last bit, and logged the same figures."""
    one, other = (load_file(folder / "model.safetensors") for folder in (found, expected))
    assert one.keys() == other.keys()
    for name, tensor in other.items():
        assert torch.equal(one[name], tensor), name
    assert (found / "metrics.csv").read_text() == (expected / "metrics.csv").read_text()


def assert_survives_kills(start: Callable[[Path], BaseProcess], folder: Path, prepared: str, step: int) -> None:
    """A run that is killed twice and continued ends as one that was not disturbed.

    Parameters
    ----------
    start
        Starts or continues the run in a folder.
    prepared
        A file of the run; it is killed when that is there.
    step
        It is killed again when there is a checkpoint of this step.
    """
    whole, output = folder / "whole", folder / "run"
    undisturbed = start(whole)
    kill_when((output / prepared).exists, start(output))
    kill_when(lambda: newest_step(output) >= step, start(output))
    undisturbed.join(120)
    assert undisturbed.exitcode == 0
    assert newest_step(output) < newest_step(whole)
    last = start(output)
    last.join(120)
    assert last.exitcode == 0
    assert_same_end(output, whole)
