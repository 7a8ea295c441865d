"""A recipe of a small network of registration, pairs to train it on, and a run of it in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from eqcli.recipe.pointcloud import PointCloudRecipe

TINY: dict[str, Any] = {
    "name": "pare-net",
    "channels": [4, 6, 8],
    "blocks": [1, 1, 1],
    "fine_level": 0,
    "neighbours": 8,
    "kernels": 2,
    "position_channels": 4,
    "features": 8,
    "vectors": 4,
    "transformer": {"channels": 8, "heads": 2, "blocks": 1},
    "superpoint_matches": 16,
    "patch": 16,
    "match_radius": 1.5,
    "apart_radius": 6.0,
    "inlier_radius": 3.0,
}

MADE: dict[str, Any] = {
    "pairs": 4,
    "valid": 2,
    "kinds": {"object": 1.0, "scene": 0.0, "outdoor": 0.0},
    "overlap": [0.4, 0.8],
    "valid_overlap": [0.4, 0.8],
    "voxels": [800, 1000],
    "pool": 4,
}
"""Pairs that are made while training goes on, small ones."""


def sections(data: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A recipe as plain data; `changes` are laid over its sections."""
    plain: dict[str, Any] = {
        "family": "pointcloud",
        "name": "case",
        "data": data or {"generated": MADE},
        "model": TINY,
        "training": {"max_epochs": 2, "batch": {"structures": 2}, "optimizer": {"lr": 0.003}, "ema": 0.9},
    }
    for name, change in changes.items():
        plain[name] = {**plain.get(name, {}), **change} if isinstance(change, dict) else change
    return plain


def make_recipe(data: dict[str, Any] | None = None, **changes: Any) -> PointCloudRecipe:
    return PointCloudRecipe.model_validate(sections(data, **changes))


def run(data: dict[str, Any] | None, output: Path, changes: dict[str, Any]) -> None:
    """In a process of its own; continues whatever is there."""
    import torch

    from eqcli.tasks.train import train

    torch.set_num_threads(1)
    try:
        train(make_recipe(data, **changes), output, device="cpu", resume=True)
    except KeyboardInterrupt:
        sys.exit(130)
