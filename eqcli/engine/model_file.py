"""The model file: one safetensors file whose header says everything about the model.

Loading reads tensors and JSON and nothing else; no code of the file can run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from eqcli.engine.device import precision_name
from eqcli.engine.model_families import FAMILIES
from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, require_file
from eqcli.models.potentials.base import Potential
from eqcli.models.potentials.build import make_potential

__all__ = ["FORMAT", "VERSION", "ModelFile", "load_model", "make_potential", "read_header", "save_model"]

FORMAT = "eqcli-model"
VERSION = 1

REQUIRED = ("config", "precision")
"""Entries without which no model can be loaded; each family needs some more."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version n -> function that turns a header of version n into one of version n + 1."""


@dataclass
class ModelFile:
    """A model and what its file says about it.

    `header` holds `family`, `config`, `units`, `precision`, `training` (recipe, data hashes,
    figures) and `provenance`; for potentials also `elements` and `reference_energies` (eV).
    """

    model: nn.Module
    header: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def potential(self) -> Potential:
        """The model as an interatomic potential. Raises InputError where it is none."""
        if isinstance(self.model, Potential):
            return self.model
        family = self.header.get("family")
        raise InputError(
            f"this model is of the family '{family}' and no interatomic potential: "
            "it gives no energies or forces of structures",
            Where(self.path),
            "`eqcli info` says what it is for, and `eqcli evaluate` measures its errors.",
        )


def save_model(path: str | Path, model: Any, *, training: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Writes a model of any family to its file, to a temporary name first."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "family": model.family,
        "config": model.config.model_dump(mode="json"),
        **FAMILIES[model.family].describe(model),
        "precision": precision_name(model.dtype),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training": training,
        "provenance": provenance,
    }
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
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
    header.setdefault("family", "potentials")
    if header["family"] not in FAMILIES:
        raise InputError(
            f"the model is of a family '{header['family']}' that this eqcli does not know",
            Where(source),
            "Update eqcli.",
        )
    missing = [key for key in (*REQUIRED, *FAMILIES[header["family"]].required) if key not in header]
    if missing:
        raise InputError(f"the header of this model is damaged: it lacks {', '.join(missing)}", Where(source))
    return header


def load_model(path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> ModelFile:
    """The model in a file, ready to evaluate; `dtype` None keeps the precision it was saved in."""
    header = read_header(path)
    model = FAMILIES[header["family"]].make(header, Path(path))
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise InputError(f"the tensors of this model do not fit its header: {error}", Where(path)) from error
    saved = torch.float64 if header["precision"] == "float64" else torch.float32
    model.to(device=device, dtype=dtype or saved)
    model.eval()
    model.requires_grad_(False)
    return ModelFile(model, header, Path(path))
