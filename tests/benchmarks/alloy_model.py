"""A MACE for the alloys of `mixed_crystals`, trained on ASE's EMT: what the benchmarks of scale relax and move.

python tests/benchmarks/alloy_model.py runs/alloys --minutes 10
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ase.calculators.emt import EMT

from eqcli.io import write_structures
from eqcli.io.ase_bridge import to_ase
from eqcli.io.structure import Structure
from eqcli.recipe.load import load_train_recipe
from eqcli.tasks.train import train
from tests.benchmarks.mixed_crystals import mixed_crystals


def labelled(structure: Structure) -> Structure:
    """The structure with energy, forces and stress of EMT."""
    atoms = to_ase(structure)
    atoms.calc = EMT()
    structure.energy = float(atoms.get_potential_energy())
    structure.forces = atoms.get_forces()
    structure.stress = atoms.get_stress(voigt=False)
    return structure


def recipe(data: Path, minutes: float) -> dict[str, object]:
    """The recipe of the quickstart's crystal, for these data."""
    return {
        "eqcli": 1,
        "task": "train",
        "name": "alloys",
        "seed": 0,
        "data": {"train": str(data), "split": {"valid": 60}, "reference_energies": "lstsq"},
        "model": {"name": "mace", "cutoff": 4.5, "channels": 16, "max_L": 1, "max_ell": 2, "correlation": 3},
        "loss": {"energy": 10, "forces": 10, "stress": 1000},
        "training": {
            "max_epochs": 1000,
            "max_minutes": minutes,
            "batch": {"atoms": 100},
            "optimizer": {"lr": 0.02},
            "schedule": {"name": "cosine", "warmup_steps": 30},
            "ema": 0.99,
            "gradient_clip": 10,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=900)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    data = options.folder / "alloys.extxyz"
    crystals: list[Structure] = []
    for rattle, strain in ((0.02, 0.01), (0.08, 0.03), (0.15, 0.05)):
        crystals += mixed_crystals(options.count // 3, least=4, most=24, rattle=rattle, strain=strain, seed=7)
    write_structures(data, [labelled(structure) for structure in crystals], overwrite=True)
    file = options.folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe(data.resolve(), options.minutes), sort_keys=False))
    result = train(load_train_recipe(file), options.folder / "run", overwrite=True)
    for name, value in result.summary():
        print(f"{name:10} {value}")


if __name__ == "__main__":
    main()
