"""How large the chunks of a request are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eqcli.engine.guest_name import is_guest

if TYPE_CHECKING:
    from pathlib import Path

    from eqcli.recipe.cluster import ClusterRecipe

CHUNKS = {
    "predict": {"cpu": (1024, 8_192), "cuda": (1024, 50_000)},
    "relax": {"cpu": (50, 4_096), "cuda": (8_192, 200_000)},
    "move": {"cpu": (25, 2_048), "cuda": (8_192, 200_000)},
}
"""Items and atoms of a chunk by task and kind of device. A core is kept busy by few structures, and chunks of few make
that cores end together; but the last relaxations of a chunk are alone in their batch. A GPU takes many at once."""


def chunk_limits(task: str, model: Path, device: str, cluster: ClusterRecipe | None) -> tuple[int, int]:
    """Items and atoms of a chunk, as suits those who do the work."""
    kind = "cpu" if is_guest(model) else device_kind(device, cluster)
    return CHUNKS[task].get(kind, CHUNKS[task]["cpu"])


def device_kind(device: str, cluster: ClusterRecipe | None) -> str:
    """The kind of device, `cpu` or `cuda`, of those who do the work."""
    from eqcli.engine.device import choose_device

    if cluster is not None and cluster.gpus and device == "auto":  # which this machine may not have
        return "cuda"
    return choose_device(device).type
