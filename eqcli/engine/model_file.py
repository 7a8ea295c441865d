"""The model file: one safetensors file whose header says everything about the model.

Loading reads tensors and JSON and nothing else; no code of the file can run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from eqcli.elements import SYMBOLS
from eqcli.engine.device import precision_name
from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, require_file
from eqcli.models.potentials.base import Potential
from eqcli.models.potentials.config import POTENTIALS

FORMAT = "eqcli-model"
VERSION = 1

REQUIRED = ("config", "elements", "precision")
"""Entries without which a model cannot be loaded."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version n -> function that turns a header of version n into one of version n + 1."""


@dataclass
class ModelFile:
    """A potential and what its file says about it.

    `header` holds `config`, `elements`, `reference_energies` (eV), `units`, `precision`,
    `training` (recipe, data hashes, figures) and `provenance`.
    """

    potential: Potential
    header: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None


def make_potential(config: Any, elements: list[int]) -> Potential:
    """A potential of the class that `config` belongs to, with fresh weights, in float64."""
    module, name, _ = POTENTIALS[config.name]
    potential: Potential = getattr(import_module(module), name)(config, elements)
    return potential.to(torch.float64)


def save_model(path: str | Path, potential: Potential, *, training: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Writes the model file, to a temporary name first."""
    numbers = potential.elements.tolist()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "family": "potentials",
        "config": potential.config.model_dump(mode="json"),
        "elements": [SYMBOLS[z] for z in numbers],
        "reference_energies": dict(
            zip([SYMBOLS[z] for z in numbers], potential.reference_energies.tolist(), strict=True)
        ),
        "units": {"length": "Angstrom", "energy": "eV", "forces": "eV/Angstrom", "stress": "eV/Angstrom^3"},
        "precision": precision_name(potential.dtype),
        "parameters": sum(p.numel() for p in potential.parameters()),
        "training": training,
        "provenance": provenance,
    }
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in potential.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={FORMAT: json.dumps(header)})


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file, upgraded to the present version. Raises InputError for any other file."""
    source = require_file(path)
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
    except PermissionError as error:
        raise InputError("this file may not be read", Where(source)) from error
    except (SafetensorError, OSError) as error:
        raise InputError(
            "this is not a model file (safetensors)", Where(source), "Give the model.safetensors of a training run."
        ) from error
    if FORMAT not in metadata:
        raise InputError("this safetensors file was not written by eqcli: it has no model header", Where(source))
    return _upgraded(_parsed(metadata[FORMAT], source), source)


def _parsed(text: str, source: Path) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise InputError(f"the header of this model is damaged: {error}", Where(source)) from error
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise InputError("the header of this model is damaged: it states no format version", Where(source))
    return header


def _upgraded(header: dict[str, Any], source: Path) -> dict[str, Any]:
    """The header in the present version of the format, with every entry that loading needs."""
    version = header["version"]
    if version > VERSION:
        raise InputError(
            f"this model file has format version {version}; this eqcli reads up to {VERSION}",
            Where(source),
            "Update eqcli.",
        )
    for step in range(version, VERSION):
        if step not in UPGRADES:
            raise InputError(f"this model file has format version {version}, which was never released", Where(source))
        header = {**UPGRADES[step](header), "version": step + 1}
    missing = [key for key in REQUIRED if key not in header]
    if missing:
        raise InputError(f"the header of this model is damaged: it lacks {', '.join(missing)}", Where(source))
    return header


def load_model(path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> ModelFile:
    """The model in a file, ready to evaluate; `dtype` None keeps the precision it was saved in."""
    header = read_header(path)
    potential = _untrained(header, Path(path))
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    try:
        potential.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise InputError(f"the tensors of this model do not fit its header: {error}", Where(path)) from error
    saved = torch.float64 if header["precision"] == "float64" else torch.float32
    potential.to(device=device, dtype=dtype or saved)
    potential.eval()
    potential.requires_grad_(False)
    return ModelFile(potential, header, Path(path))


def _untrained(header: dict[str, Any], source: Path) -> Potential:
    """The potential that a header describes, before its tensors are filled in."""
    name = header["config"].get("name")
    if name not in POTENTIALS:
        raise InputError(
            f"the model is of a kind '{name}' that this eqcli does not know", Where(source), "Update eqcli."
        )
    unknown = [symbol for symbol in header["elements"] if symbol not in SYMBOLS[1:]]
    if unknown:
        raise InputError(f"the header of this model is damaged: elements {', '.join(unknown)}", Where(source))
    try:
        config = POTENTIALS[name][2].model_validate(header["config"])
    except ValidationError as error:
        raise InputError(f"the header of this model is damaged: {error}", Where(source)) from error
    return make_potential(config, [SYMBOLS.index(symbol) for symbol in header["elements"]])
