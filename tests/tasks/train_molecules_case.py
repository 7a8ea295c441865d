"""A small data set of molecules and a recipe for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from eqcli.io import write_structures
from eqcli.io.structure import Structure
from eqcli.recipe.molecules import MoleculesRecipe
from tests.molecule_case import NETWORKS
from tests.molecules import embedded, shaken

KINDS = ("O", "C", "N", "C=O", "CO", "CC")
"""Water, methane, ammonia, formaldehyde, methanol, ethane."""


@cache
def _embedded(smiles: str) -> Structure:
    return embedded(smiles)


def molecules(count: int, seed: int = 0) -> list[Structure]:
    """Conformers of `KINDS`, a few hundredths of an Å off, with the number of their heavy atoms as `gap`."""
    found = []
    for n in range(count):
        one = shaken(_embedded(KINDS[n % len(KINDS)]), seed + n, 0.03)
        heavy = int((one.numbers > 1).sum())
        one.info = {**one.info, "name": f"m{n}", "gap": 10.0 - heavy, "colour": "blue"}
        found.append(one)
    return found


def write(path: Path, structures: list[Structure]) -> Path:
    write_structures(path, structures)
    return path


def make_recipe(train: Path, **changes: Any) -> MoleculesRecipe:
    """A recipe; `changes` are sections that replace keys of these."""
    sections: dict[str, Any] = {
        "data": {"train": str(train), "split": {"valid": 0.2, "test": 0.1}},
        "model": {"name": "flow-matching", "denoiser": {**NETWORKS["eqgat"], "channels": 16}},
        "training": {
            "max_epochs": 3,
            "batch": {"structures": 8},
            "optimizer": {"lr": 0.005},
            "schedule": {"name": "cosine", "warmup_steps": 3},
            "ema": 0.9,
        },
    }
    for name, change in changes.items():
        sections[name] = {**sections.get(name, {}), **change} if isinstance(change, dict) else change
    return MoleculesRecipe.model_validate({"family": "molecules", "name": "case", **sections})
