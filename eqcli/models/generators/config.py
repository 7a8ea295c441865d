"""Every generator: its name, its code and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from eqcli.models.generators.configs.common import CSPNetConfig, PairTransformerConfig
from eqcli.models.generators.configs.diffcsp import DiffCSPConfig
from eqcli.models.generators.configs.flowmm import FlowMMConfig

GeneratorConfig = Annotated[FlowMMConfig | DiffCSPConfig, Field(discriminator="name")]
"""Every generator, told apart by its `name`."""

GENERATORS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "flowmm": ("eqcli.models.generators.flowmm", "FlowMM", FlowMMConfig),
    "diffcsp": ("eqcli.models.generators.diffcsp", "DiffCSP", DiffCSPConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""

DENOISERS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "cspnet": ("eqcli.models.generators.cspnet", "CSPNet", CSPNetConfig),
    "pair-transformer": ("eqcli.models.generators.pair_transformer", "PairTransformer", PairTransformerConfig),
}
"""The networks inside generators, likewise."""
