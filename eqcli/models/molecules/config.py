"""Every generator of molecules: its name, its code and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from eqcli.models.molecules.configs.common import EGNNDenoiserConfig, EQGATConfig
from eqcli.models.molecules.configs.edm import EDMConfig
from eqcli.models.molecules.configs.eqgat_diff import EQGATDiffConfig
from eqcli.models.molecules.configs.flow_matching import FlowMatchingConfig

MoleculeConfig = Annotated[EDMConfig | EQGATDiffConfig | FlowMatchingConfig, Field(discriminator="name")]
"""Every generator of molecules, told apart by its `name`."""

MOLECULE_GENERATORS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "edm": ("eqcli.models.molecules.edm", "EDM", EDMConfig),
    "eqgat-diff": ("eqcli.models.molecules.eqgat_diff", "EQGATDiff", EQGATDiffConfig),
    "flow-matching": ("eqcli.models.molecules.flow_matching", "FlowMatching", FlowMatchingConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""

MOLECULE_DENOISERS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "egnn": ("eqcli.models.molecules.egnn", "DenseEGNN", EGNNDenoiserConfig),
    "eqgat": ("eqcli.models.molecules.eqgat", "EQGAT", EQGATConfig),
}
"""The networks inside generators, likewise."""
