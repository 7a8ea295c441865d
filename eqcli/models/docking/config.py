"""Every docking network: its name, its code and its hyper-parameters."""

from __future__ import annotations

from pydantic import BaseModel

from eqcli.models.docking.configs.equibind import EquiBindConfig

DockingConfig = EquiBindConfig
"""Every docking network, told apart by its `name`."""

DOCKING: dict[str, tuple[str, str, type[BaseModel]]] = {
    "equibind": ("eqcli.models.docking.equibind", "EquiBind", EquiBindConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""
