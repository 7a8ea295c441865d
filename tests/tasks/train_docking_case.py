"""A recipe for small complexes, and a run of it in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from eqcli.io.structure import Structure
from eqcli.recipe.docking import DockingRecipe

TINY: dict[str, Any] = {
    "name": "equibind",
    "channels": 12,
    "num_layers": 2,
    "key_points": 4,
    "neighbours": 6,
    "confidence": {"channels": 8, "num_layers": 1, "decoys": 2, "radial": 6},
}


SEEN: dict[str, Any] = {"data": {"split": {"by": "protein", "valid": 0.25, "test": 0.25, "seen": 0.34}}}


def make_recipe(train: Path | str, **changes: Any) -> DockingRecipe:
    """A recipe; `changes` are sections that replace keys of these."""
    sections: dict[str, Any] = {
        "data": {"train": str(train), "split": {"by": "protein", "valid": 0.25, "test": 0.25}, "conformers": 2},
        "model": TINY,
        "training": {
            "max_epochs": 2,
            "batch": {"structures": 3},
            "optimizer": {"lr": 0.003},
            "schedule": {"name": "cosine", "warmup_steps": 2},
            "ema": 0.9,
        },
    }
    for name, change in changes.items():
        sections[name] = {**sections.get(name, {}), **change} if isinstance(change, dict) else change
    return DockingRecipe.model_validate({"family": "docking", "name": "case", **sections})


def changed(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Keys of the `data` section beside those of every case, and other sections."""
    return {"data": {"conformers": 2, **data}, **more}


def ligands(structures: list[Structure]) -> list[Structure]:
    return [s for s in structures if s.info["role"] == "ligand"]


def run(data: Path, output: Path, changes: dict[str, Any]) -> None:
    """In a process of its own; continues whatever is there."""
    import torch

    from eqcli.tasks.train import train

    torch.set_num_threads(1)
    try:
        train(make_recipe(data, **changes), output, device="cpu", resume=True)
    except KeyboardInterrupt:
        sys.exit(130)
