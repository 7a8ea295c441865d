"""Small complexes on disk and methods that need no engine, for tests of the evaluation of docking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.engine.docking_pose import PoseResult
from eqcli.errors import InputError
from eqcli.io import write_structures
from eqcli.io.ligand import read_ligands
from eqcli.io.structure import Structure
from eqcli.tasks.evaluate_docking_methods import Method
from tests.tasks.dock_case import receptor_text

SMILES = ("CC(=O)NC", "c1ccccc1O", "CCC(=O)O")


def ligand_at(smiles: str, place: tuple[float, float, float]) -> Structure:
    """The ligand with its middle at a place."""
    (found,) = read_ligands(smiles)
    assert not isinstance(found, InputError)
    structure = found.structure
    return replace(structure, positions=structure.positions - structure.positions.mean(axis=0) + place)


def write_complexes(folder: Path, *, broken: bool = False) -> Path:
    """Three complexes of one peptide in the layout of PDBBind; the first has its ligand in two places."""
    for k, smiles in enumerate(SMILES):
        name = f"c{k}"
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}_protein.pdb").write_text(receptor_text(), encoding="utf-8")
        crystal = ligand_at(smiles, (12.0 + k, 0.0, 0.0))
        write_structures(folder / name / f"{name}_ligand.sdf", [crystal])
        if k == 0:
            copies = [crystal, ligand_at(smiles, (-14.0, 0.0, 3.0))]
            write_structures(folder / name / f"{name}_ligands_all_copies.sdf", copies)
    if broken:
        (folder / "lost").mkdir()
        (folder / "lost" / "lost_protein.pdb").write_text(receptor_text(), encoding="utf-8")
    return folder


def method(name: str, dock: Callable[..., Any], **settings: Any) -> Method:
    """A method of one function."""
    return Method(name, dock, **settings)


def off_by(*shifts: float) -> Callable[..., list[PoseResult]]:
    """Poses that lie so many Å from the crystal's, the score telling their order."""

    def dock(receptor: Any, ligand: Any, conformer: Any, site: Any) -> list[PoseResult]:
        positions = ligand.structure.positions
        return [PoseResult(positions + np.array([0.0, 0.0, s]), "stub", -5.0 + k) for k, s in enumerate(shifts)]

    return dock


def fails(receptor: Any, ligand: Any, conformer: Any, site: Any) -> list[PoseResult]:
    raise RuntimeError("it broke")
