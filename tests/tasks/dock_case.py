"""Small receptors, ligands and a network that needs no training, for tests of docking."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.engine.pose_network import FLEXIBLE

LIGANDS = ("CCO", "CCN", "CCC(=O)O", "c1ccccc1O", "CC(C)O", "CCS", "COC", "CC#N")


@cache
def receptor_text() -> str:
    """A short peptide as a PDB file."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    molecule = Chem.AddHs(Chem.MolFromSequence("GASLKFVDTWEY"))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 7
    assert rdDistGeom.EmbedMolecule(molecule, parameters) == 0
    return str(Chem.MolToPDBBlock(Chem.RemoveHs(molecule)))


def write_receptor(folder: Path, name: str = "peptide.pdb") -> Path:
    path = folder / name
    path.write_text(receptor_text(), encoding="utf-8")
    return path


def write_ligands(folder: Path, smiles: Sequence[str] = LIGANDS, name: str = "library.smi") -> Path:
    path = folder / name
    path.write_text("".join(f"{text} lig{k}\n" for k, text in enumerate(smiles)), encoding="utf-8")
    return path


class StubNetwork:
    """Puts every conformer at the middle of the receptor, moved by the number of its atoms; knows who asked."""

    def __init__(self, *, pause: float = 0.0, fail: str = "") -> None:
        self.encoded: list[str] = []
        self.batches: list[list[str]] = []
        self.pause = pause
        self.fail = fail

    def encode(self, receptor: Any) -> Any:
        self.encoded.append(receptor.name)
        return receptor.structure.positions.mean(axis=0)

    def poses(self, prepared: Any, ligands: Any, site: Any) -> list[dict[str, Any]]:
        names = [ligand.name for ligand, _ in ligands]
        self.batches.append(names)
        time.sleep(self.pause * len(names))
        if self.fail in names:
            raise RuntimeError("the network broke")
        middle = prepared.encoded
        return [{FLEXIBLE: x - x.mean(axis=0) + middle + [0.1 * len(x), 0, 15.0]} for _, x in ligands]

    def confidences(self, prepared: Any, ligand: Any, positions: Any) -> Any:
        return np.array([1.0 / (1 + len(ligand.structure) + k) for k in range(len(positions))])


def use_network(monkeypatch: pytest.MonkeyPatch, network: StubNetwork) -> StubNetwork:
    """Makes this the network of every model."""
    from eqcli.tasks import dock_request

    monkeypatch.setattr(dock_request, "_network", lambda request: (network, {"model": {"name": "stub"}}))
    monkeypatch.setattr("eqcli.files.sha256", lambda path: f"hash of {Path(path).name}")
    return network
