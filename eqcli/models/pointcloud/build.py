"""Making a model of point clouds from its hyper-parameters."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from eqcli.models.pointcloud.config import POINT_CLOUD_MODELS

if TYPE_CHECKING:
    from eqcli.models.pointcloud.base import RegistrationNetwork


def make_registration_network(config: Any) -> RegistrationNetwork:
    """A network of the class that `config` belongs to, with fresh weights, in float64.

    The weights are drawn in torch's default precision, whatever the model is trained in.
    """
    module, name, _ = POINT_CLOUD_MODELS[config.name]
    network: RegistrationNetwork = getattr(import_module(module), name)(config)
    return network.to(torch.float64)
