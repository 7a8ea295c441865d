"""Small model files of generators of molecules, and scaffolds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqcli.engine.model_file import save_model
from eqcli.io import write_structures
from tests.molecule_case import NETWORKS, generator
from tests.molecules import embedded

OPTIONS: dict[str, dict[str, Any]] = {
    "edm": {"name": "edm", "timesteps": 40, "sampling": {"steps": 4}, "denoiser": NETWORKS["egnn"]},
    "flow": {"name": "flow-matching", "sampling": {"steps": 4}, "denoiser": NETWORKS["eqgat"]},
    "steered": {
        "name": "eqgat-diff",
        "timesteps": 40,
        "conditions": {"values": ["gap", "dipole"]},
        "sampling": {"steps": 4},
        "denoiser": NETWORKS["eqgat"],
    },
}


def models(folder: Path) -> Path:
    """`edm`, `flow` and `steered` as model files in a folder, in single precision."""
    for name, options in OPTIONS.items():
        made = generator(options, shake=0.02).float()
        save_model(folder / f"{name}.safetensors", made, training={}, provenance={})
    return folder


def scaffolds(folder: Path) -> Path:
    """`cores.sdf`: formaldehyde, methylammonium, fluoromethane (F is unknown to the models) and hydrogen."""
    cores = [embedded(smiles, name=smiles) for smiles in ("C=O", "C[NH3+]", "CF", "[H][H]")]
    write_structures(folder / "cores.sdf", cores)
    return folder / "cores.sdf"
