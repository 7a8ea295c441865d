"""A model file opened for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.engine.device import PRECISIONS, choose_device
from eqcli.engine.model_file import ModelFile, load_model
from eqcli.errors import InputError
from eqcli.nn.backend import Backend

if TYPE_CHECKING:
    import torch


def open_model(
    model: str | Path, device: str = "auto", precision: str | None = None, *, compile: bool = False
) -> ModelFile:
    """The model of a file, as the functions of the package `eqcli` take it. Raises InputError as they do."""
    loaded = load_model(model, device=choose_device(device), dtype=precision_of(precision))
    if compile:
        from eqcli.engine.compiled import compile_potential

        compile_potential(loaded.potential)
    return loaded


def precision_of(name: str | None) -> torch.dtype | None:
    """The precision of that name; None stays None. Raises InputError for another name."""
    if name is None:
        return None
    if name not in PRECISIONS:
        raise InputError(f"unknown precision '{name}'", hint=f"Use {' or '.join(PRECISIONS)}.")
    return PRECISIONS[name]


def backend_of(name: str | Backend) -> Backend:
    """The backend of that name. Raises InputError for another name."""
    try:
        return Backend(name)
    except ValueError as error:
        raise InputError(f"unknown backend '{name}'", hint=f"Use {', '.join(Backend)}.") from error
