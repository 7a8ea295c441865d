"""Requests that are cut short, and what they come to all the same."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.predictor import Predictor
from eqcli.io import DatasetFile, DatasetWriter, Structure
from eqcli.tasks.predict import predict
from eqcli.tasks.stream.chunk_sizes import CHUNKS
from tests.killing import send_when
from tests.toy_model import register_toy, save_toy

CHUNK_ITEMS, CHUNK_ATOMS = 12, 40


def structure(number: int, element: int = 6) -> Structure:
    """A molecule of 2 to 5 atoms that the number decides, some with labels."""
    rng = np.random.default_rng(number)
    n = 2 + number % 4
    positions = np.arange(n)[:, None] * [1.3, 0.2, 0.1] + 0.1 * rng.normal(size=(n, 3))
    labels = {"energy": float(number), "forces": rng.normal(size=(n, 3))} if number % 3 else {}
    numbers = np.where(np.arange(n) % 2, 8, element)
    return Structure(numbers, positions, info={"number": number}, **labels)


def write_store(path: Path, numbers: range) -> Path:
    """A dataset of `structure(n)` for these numbers."""
    with DatasetWriter(path) as writer:
        for number in numbers:
            writer.append(structure(number))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model; chunks of predictions are small, and threads are at the end as they were."""
    before = torch.get_num_threads()
    register_toy(monkeypatch)
    save_toy(tmp_path / "model.safetensors")
    monkeypatch.setitem(CHUNKS["predict"], "cpu", (CHUNK_ITEMS, CHUNK_ATOMS))
    yield tmp_path
    torch.set_num_threads(before)


def run(here: Path, inputs: list[str], output: str, **options: Any) -> Any:
    """A prediction in small batches."""
    options = {"batch_atoms": 12, "device": "cpu", **options}
    return predict(here / "model.safetensors", [here / name for name in inputs], here / output, **options)


def columns(path: Path) -> dict[str, Any]:
    """Every column of a dataset."""
    with DatasetFile(path) as file:
        return file.raw(0, len(file))


def assert_same_columns(found: Path, expected: Path) -> None:
    """Two datasets hold the same, to the last bit."""
    one, other = columns(found), columns(expected)
    assert one.keys() == other.keys()
    for name, values in other.items():
        assert values.tobytes() == one[name].tobytes(), name


def in_process(function: Callable[..., Any], *arguments: Any, **options: Any) -> BaseProcess:
    """A process that calls a function; it begins as a copy of this one."""

    def call() -> None:
        torch.set_num_threads(1)
        function(*arguments, **options)

    process = multiprocessing.get_context("fork").Process(target=call)
    process.start()
    return process


def slow_and_logged(log: Path, seconds: float) -> None:
    """From now on each batch takes so long at least, and the numbers of its structures are written down first."""
    plain = Predictor._attempt

    def attempt(self: Predictor, items: Any) -> Any:
        with log.open("a") as file:
            file.write("".join(f"{item.structure.info['number']}\n" for item in items))
        time.sleep(seconds)
        return plain(self, items)

    Predictor._attempt = attempt  # type: ignore[method-assign]


def slow_run(here: Path, inputs: list[str], output: str, *, seconds: float = 0.01, **options: Any) -> None:
    """A prediction that can be killed on the way; `<output>.log` has what was evaluated."""
    slow_and_logged(here / f"{output}.log", seconds)
    run(here, inputs, output, **options)


def evaluated(here: Path, output: str) -> list[int]:
    """Numbers of the structures that `slow_run` evaluated, once for each time."""
    log = here / f"{output}.log"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def kill_when(happened: Callable[[], Any], process: BaseProcess, number: int = signal.SIGKILL) -> None:
    """Sends a signal as soon as something has happened, and waits for the end."""
    send_when(happened, process, number)
    process.join(60)
