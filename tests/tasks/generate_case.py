"""Small model files of generators, and a generation in a process of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from eqcli.engine.model_file import save_model
from eqcli.models.generators.base import CrystalGenerator
from eqcli.tasks.status.stream import stream_status
from tests.generator_case import NETWORKS, generator

OPTIONS: dict[str, dict[str, Any]] = {
    "csp": {"name": "flowmm", "sampling": {"steps": 4}},
    "dng": {"name": "flowmm", "species": "discrete", "sampling": {"steps": 4}},
    "steered": {
        "name": "diffcsp",
        "species": "one-hot",
        "timesteps": 40,
        "conditions": {"value": "energy_per_atom", "system": True},
        "sampling": {"steps": 4},
    },
}


def models(folder: Path) -> Path:
    """`csp`, `dng` and `steered` as model files in a folder."""
    for name, options in OPTIONS.items():
        save(folder / f"{name}.safetensors", generator({**options, "denoiser": NETWORKS["cspnet"]}))
    return folder


def save(path: Path, model: CrystalGenerator) -> Path:
    save_model(path, model, training={}, provenance={})
    return path


def broken(folder: Path, spread: float = 10.0) -> Path:
    """A model of given species some of whose cells are absurdly long or short."""
    made = generator({**OPTIONS["csp"], "denoiser": NETWORKS["cspnet"]})
    with torch.no_grad():
        made.chart.spread[0] = spread  # type: ignore[index,operator]
    return save(folder / "broken.safetensors", made)


@contextmanager
def one_thread() -> Iterator[None]:
    """Last bits depend on the threads of a process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def committed(work: Path) -> int:
    """How many structures are in a work folder, failed ones among them."""
    return stream_status(work).done if work.is_dir() else 0


def run(model: Path, output: Path, options: dict[str, Any]) -> None:
    """Generates, going on with what is there; ends with 130 when it was interrupted."""
    from eqcli.tasks.generate import generate

    torch.set_num_threads(1)
    # A shell that starts tests in the background has them ignore Ctrl-C, and their processes after them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        generate(model, output, resume=True, device="cpu", **options)
    except KeyboardInterrupt:
        sys.exit(130)
