"""Every interatomic potential: its name, its code and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from eqcli.models.potentials.configs.mace import MACEConfig
from eqcli.models.potentials.configs.tensornet import TensorNetConfig

__all__ = ["POTENTIALS", "MACEConfig", "PotentialConfig", "TensorNetConfig"]

PotentialConfig = Annotated[MACEConfig | TensorNetConfig, Field(discriminator="name")]
"""Every potential, told apart by its `name`; `A | B` when there are several."""

POTENTIALS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "mace": ("eqcli.models.potentials.mace", "MACE", MACEConfig),
    "tensornet": ("eqcli.models.potentials.tensornet", "TensorNet", TensorNetConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""
