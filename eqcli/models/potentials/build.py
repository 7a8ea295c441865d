"""Potentials by their configuration."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential


def make_potential(config: Any, elements: list[int]) -> Potential:
    """A potential of the class that `config` belongs to, with fresh weights, in float64."""
    from eqcli.models.potentials.config import POTENTIALS

    module, name, _ = POTENTIALS[config.name]
    potential: Potential = getattr(import_module(module), name)(config, elements)
    return potential.to(torch.float64)
