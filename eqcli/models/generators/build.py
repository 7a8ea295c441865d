"""Making a generator from its hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from eqcli.models.generators.config import GENERATORS

if TYPE_CHECKING:
    from eqcli.models.generators.base import CrystalGenerator


def make_generator(config: Any, *, elements: Sequence[int], sizes: Sequence[int]) -> CrystalGenerator:
    """A generator of the class that `config` belongs to, with fresh weights, in float64.

    The weights are drawn in torch's default precision, whatever the model is trained in.
    """
    module, name, _ = GENERATORS[config.name]
    model: CrystalGenerator = getattr(import_module(module), name)(config, elements=elements, sizes=sizes)
    return model.to(torch.float64)
