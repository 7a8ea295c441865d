"""Model files of the toy potential, for tests of what works with any model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eqcli.engine.model_file import ModelFile, save_model
from eqcli.models.potentials.config import POTENTIALS
from tests.toy import ToyConfig, ToyPotential

REFERENCE_ENERGIES = {1: -13.6, 6: -1029.5, 8: -2042.3}
"""eV, of the size that electronic structure codes give."""


def register_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes model files of the toy potential loadable."""
    monkeypatch.setitem(POTENTIALS, "toy", ("tests.toy", "ToyPotential", ToyConfig))


def toy_model(dtype: torch.dtype = torch.float64) -> ModelFile:
    """A toy model as if loaded from a file."""
    potential = ToyPotential()
    energies = [REFERENCE_ENERGIES[int(z)] for z in potential.elements]
    potential.reference_energies[:] = torch.tensor(energies, dtype=torch.float64)
    potential.to(dtype).eval().requires_grad_(False)
    return ModelFile(potential, {"precision": str(dtype).removeprefix("torch.")})


def save_toy(path: Path, dtype: torch.dtype = torch.float64) -> Path:
    """Writes a model file of the toy potential."""
    save_model(path, toy_model(dtype).potential, training={"recipe": {"name": "toy"}}, provenance={"eqcli": "test"})
    return path
