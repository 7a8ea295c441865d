"""PDBQT: receptors written for Vina, and files of AutoDock and Vina read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import read_structures
from eqcli.io.atom_types import AtomType
from eqcli.io.pdbqt import receptor_pdbqt
from eqcli.io.receptor import Receptor, read_receptor
from tests.io.peptides import far, line, peptide

POSES = """MODEL 1
REMARK VINA RESULT:    -9.5      0.000      0.000
REMARK SMILES CCO
REMARK SMILES IDX 1 1 2 2 3 3
REMARK H PARENT 3 4
ROOT
ATOM      1  C   UNL     1       0.000   0.000   0.000  1.00  0.00     0.000 C
ATOM      2  C   UNL     1       1.500   0.000   0.000  1.00  0.00     0.000 CG0
ATOM      3  O   UNL     1       2.000   1.400   0.000  1.00  0.00     0.000 OA
ATOM      4  H   UNL     1       2.900   1.400   0.000  1.00  0.00     0.000 HD
ATOM      5  G   UNL     1       5.900   1.400   0.000  1.00  0.00     0.000 G0
ENDROOT
TORSDOF 1
ENDMDL
MODEL 2
REMARK VINA RESULT:    -8.1      1.000      2.000
ATOM      1  N   UNL     1       0.000   0.000   0.000  1.00  0.00     0.000 NA
HETATM    2 NA    NA     1       4.000   0.000   0.000  1.00  0.00     0.000 Na
ENDMDL
"""


def receptor(tmp_path: Path) -> Receptor:
    metals = line("ZN", "ZN", 90, far(), "ZN") + line("CS", "CS", 91, far(2), "CS") + line("B1", "BOR", 92, far(3), "B")
    (tmp_path / "a.pdb").write_text(peptide("SHKRPWYD") + metals)
    return read_receptor(tmp_path / "a.pdb")


def test_poses(tmp_path: Path) -> None:
    (tmp_path / "out.pdbqt").write_text(POSES)
    first, second = read_structures(tmp_path / "out.pdbqt")
    assert first.numbers.tolist() == [6, 6, 8, 1]
    assert first.info["score"] == -9.5
    assert first.info["smiles"] == "CCO"
    assert first.info["smiles_index"] == [[1, 1], [2, 2], [3, 3]]
    assert first.info["h_parent"] == [[3, 4]]
    assert second.numbers.tolist() == [7, 11]
    assert second.info == {"score": -8.1}


def test_a_bad_line_is_one_model(tmp_path: Path) -> None:
    (tmp_path / "out.pdbqt").write_text(POSES.replace("0.000 OA", "0.000 Qq"))
    failures: list[Failure] = []
    (second,) = read_structures(tmp_path / "out.pdbqt", on_failure=failures.append)
    assert second.info["score"] == -8.1
    assert "no atom type" in failures[0].reason
    assert failures[0].where.line == 9


def test_a_receptor_reads_back_with_its_types(tmp_path: Path) -> None:
    first = receptor(tmp_path)
    (tmp_path / "b.pdbqt").write_text(receptor_pdbqt(first))
    again = read_receptor(tmp_path / "b.pdbqt")
    kinds = [r.structure.arrays["atom_type"][r.heavy] for r in (first, again)]
    stand_in = first.structure.arrays["residue_name"][first.heavy] == "BOR"
    assert (kinds[0] == kinds[1])[~stand_in].all()
    assert kinds[0][stand_in].tolist() == [AtomType.C_P]
    assert again.residues.sequence() == first.residues.sequence()


def test_positions_that_do_not_fit(tmp_path: Path) -> None:
    far_away = receptor(tmp_path)
    far_away.structure.positions = far_away.structure.positions + 1e5
    with pytest.raises(InputError, match="columns"):
        receptor_pdbqt(far_away)


def test_vina_takes_it(tmp_path: Path) -> None:
    vina = pytest.importorskip("vina")
    first = receptor(tmp_path)
    (tmp_path / "b.pdbqt").write_text(receptor_pdbqt(first))
    engine = vina.Vina(sf_name="vina", cpu=1, verbosity=0)
    engine.set_receptor(str(tmp_path / "b.pdbqt"))
    x, y, z = first.structure.positions[0] + 3.8
    atom = f"ATOM      1  C   UNL     1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00     0.000 C "
    (tmp_path / "lig.pdbqt").write_text(f"ROOT\n{atom}\nENDROOT\nTORSDOF 0\n")
    engine.set_ligand_from_file(str(tmp_path / "lig.pdbqt"))
    centre = first.structure.positions[0]
    engine.compute_vina_maps(center=centre.tolist(), box_size=[12, 12, 12])
    assert np.isfinite(engine.score()[0])
