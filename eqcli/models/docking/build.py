"""Making a docking network from its hyper-parameters."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from eqcli.models.docking.config import DOCKING

if TYPE_CHECKING:
    from eqcli.models.docking.base import DockingNetwork


def make_docking_network(
    config: Any, *, ligand_codes: tuple[int, ...], receptor_codes: tuple[int, ...]
) -> DockingNetwork:
    """A network of the class that `config` belongs to, with fresh weights, in float64.

    The weights are drawn in torch's default precision, whatever the model is trained in.
    """
    module, name, _ = DOCKING[config.name]
    network: DockingNetwork = getattr(import_module(module), name)(
        config, ligand_codes=ligand_codes, receptor_codes=receptor_codes
    )
    return network.to(torch.float64)
