"""Every model of point clouds: its name, its code and its hyper-parameters."""

from __future__ import annotations

from pydantic import BaseModel

from eqcli.models.pointcloud.configs.pare_net import PareNetConfig

PointCloudConfig = PareNetConfig
"""Every model of point clouds, told apart by its `name`."""

POINT_CLOUD_MODELS: dict[str, tuple[str, str, type[BaseModel]]] = {
    "pare-net": ("eqcli.models.pointcloud.pare_net", "PareNet", PareNetConfig),
}
"""Name -> (module, class, configuration): the one table that ties a name to its code."""
