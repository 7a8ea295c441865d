"""Every interatomic potential: its name, its code and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from eqcli.models.potentials.configs.egnn import EGNNConfig
from eqcli.models.potentials.configs.ensemble import EnsembleConfig
from eqcli.models.potentials.configs.equiformer_v2 import EquiformerV2Config
from eqcli.models.potentials.configs.escn import ESCNConfig
from eqcli.models.potentials.configs.faenet import FAENetConfig
from eqcli.models.potentials.configs.frame_averaging import FrameAveragedConfig
from eqcli.models.potentials.configs.mace import MACEConfig
from eqcli.models.potentials.configs.tensornet import TensorNetConfig

__all__ = [
    "POTENTIALS",
    "Backbone",
    "EGNNConfig",
    "ESCNConfig",
    "EnsembleConfig",
    "EquiformerV2Config",
    "FAENetConfig",
    "FrameAveragedConfig",
    "MACEConfig",
    "PotentialConfig",
    "TensorNetConfig",
]

Backbone = Annotated[
    MACEConfig | EGNNConfig | EquiformerV2Config | ESCNConfig | FAENetConfig | TensorNetConfig,
    Field(discriminator="name"),
]
"""Every potential that stands on its own, told apart by its `name`."""

EnsembleConfig.model_rebuild(_types_namespace={"Backbone": Backbone})
FrameAveragedConfig.model_rebuild(_types_namespace={"Backbone": Backbone})

PotentialConfig = Annotated[Backbone | EnsembleConfig | FrameAveragedConfig, Field(discriminator="name")]
"""Every potential, told apart by its `name`."""

POTENTIALS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "equiformer-v2": ("eqcli.models.potentials.equiformer_v2", "EquiformerV2", EquiformerV2Config),
    "ensemble": ("eqcli.models.potentials.ensemble", "Ensemble", EnsembleConfig),
    "egnn": ("eqcli.models.potentials.egnn", "EGNN", EGNNConfig),
    "escn": ("eqcli.models.potentials.escn", "ESCN", ESCNConfig),
    "faenet": ("eqcli.models.potentials.faenet", "FAENet", FAENetConfig),
    "frame-averaged": ("eqcli.models.potentials.frame_averaging", "FrameAveraged", FrameAveragedConfig),
    "mace": ("eqcli.models.potentials.mace", "MACE", MACEConfig),
    "tensornet": ("eqcli.models.potentials.tensornet", "TensorNet", TensorNetConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""
