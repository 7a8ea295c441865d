"""Ligand files from the wild: each loads, or fails with the stated reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.ligand_topology import topology

pytestmark = pytest.mark.shared

ENDINGS = (".sdf", ".mol2", ".pdbqt")


def test_every_ligand_of_the_docking_folders_loads(shared: Path) -> None:
    files = [path for path in sorted((shared / "docking").rglob("*")) if path.name.endswith(ENDINGS)]
    files += sorted((shared / "docking").rglob("*_ligand.pdb"))
    failures: list[InputError] = []
    count = 0
    for path in files:
        for found in read_ligands(path):
            if isinstance(found, InputError):
                failures.append(found)
                continue
            count += 1
            turning = topology(found)
            assert np.isfinite(found.structure.positions).all()
            assert found.given
            assert (turning.types >= 0).sum() == turning.heavy.sum()
    assert failures == []
    assert count == sum(_records(path) for path in files) > 1000


def _records(path: Path) -> int:
    """How many there are by the marks of the format."""
    mark = {".sdf": "M  END", ".mol2": "@<TRIPOS>MOLECULE", ".pdbqt": "MODEL ", ".pdb": "END"}[path.suffix]
    return sum(line.startswith(mark) and not line.startswith("ENDMDL") for line in path.read_text().splitlines())


def test_the_same_ligand_from_pdb_and_from_a_pose_file(shared: Path) -> None:
    from eqcli.metrics.docking.symmetric_rmsd import symmetry

    folder = shared / "docking" / "complexes" / "prolif_5ht1b"
    first = next(read_ligands(folder / "prolif_5ht1b_ligand.pdb"))
    pose = next(read_ligands(folder / "vina_output_9poses.sdf"))
    assert isinstance(first, Ligand)
    assert isinstance(pose, Ligand)
    assert len(first.structure) == len(pose.structure)
    assert first.structure.charge == pose.structure.charge == 1
    assert len(symmetry(first.structure, pose.structure).mappings) >= 1
