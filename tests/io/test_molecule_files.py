"""SDF, MOL, SMILES and JSON records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, Structure, json_stream, read_structures, write_structures
from tests.io.structures import distances

AMMONIUM = """ammonium
     book           3D

  5  4  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 N   0  0  0  0  0  0  0  0  0  0  0  0
    0.6000    0.6000    0.6000 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.6000   -0.6000    0.6000 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.6000    0.6000   -0.6000 H   0  0  0  0  0  0  0  0  0  0  0  0
    0.6000   -0.6000   -0.6000 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
  1  4  1  0
  1  5  1  0
M  CHG  1   1   1
M  END
"""
TAGS = ">  <energy>\n-12.5\n\n>  <remark> (3)\nfirst\nsecond\n\n"


def read(path: Path, text: str, labels: LabelConvention | None = None) -> tuple[list[Structure], list[Failure]]:
    path.write_text(text)
    failures: list[Failure] = []
    return list(read_structures(path, labels, on_failure=failures.append)), failures


def test_sdf(tmp_path: Path) -> None:
    (molecule, again), failures = read(tmp_path / "a.sdf", f"{AMMONIUM}{TAGS}$$$$\n{AMMONIUM}")
    assert not failures
    assert molecule.numbers.tolist() == [7, 1, 1, 1, 1]
    assert molecule.positions[1].tolist() == [0.6, 0.6, 0.6]
    assert molecule.charge == 1.0
    assert molecule.arrays["formal_charge"].tolist() == [1, 0, 0, 0, 0]
    assert molecule.info["name"] == "ammonium"
    assert molecule.info["bonds"] == [[0, 1, 1], [0, 2, 1], [0, 3, 1], [0, 4, 1]]
    assert molecule.info["remark"] == "first\nsecond"
    assert (again.where.frame, again.where.line) == (1, AMMONIUM.count("\n") + TAGS.count("\n") + 2)


def test_a_data_item_is_a_label_only_when_named(tmp_path: Path) -> None:
    text = f"{AMMONIUM}{TAGS}$$$$\n"
    assert read(tmp_path / "a.sdf", text)[0][0].energy is None
    labels = LabelConvention(energy="energy", energy_unit="kcal/mol")
    assert read(tmp_path / "a.sdf", text, labels)[0][0].energy == pytest.approx(-0.54205144)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("M  END", "M  EN", "cut off"),
        (" N   0", " R#  0", "no element"),
        ("  5  4  0", "  9  4  0", "RDKit cannot read"),
        ("     book           3D", "     book           2D", "drawing"),
    ],
)
def test_malformed_records_are_listed_and_the_others_go_on(tmp_path: Path, old: str, new: str, words: str) -> None:
    good, failures = read(tmp_path / "a.sdf", f"{AMMONIUM}$$$$\n{AMMONIUM.replace(old, new)}$$$$\n{AMMONIUM}$$$$\n")
    assert [s.where.frame for s in good] == [0, 2]
    assert words in failures[0].reason
    assert failures[0].where.frame == 1
    assert failures[0].where.line is not None
    assert failures[0].where.line > AMMONIUM.count("\n")


def test_large_molecules_are_written_as_v3000(tmp_path: Path) -> None:
    n = 1200
    positions = np.random.default_rng(0).normal(size=(n, 3)) * 10
    chain = Structure(np.full(n, 6), positions, info={"bonds": [[i, i + 1, 1] for i in range(n - 1)]})
    chain.arrays["formal_charge"] = np.array([-1] + [0] * (n - 1))
    write_structures(tmp_path / "a.sdf", [chain])
    assert "V3000" in (tmp_path / "a.sdf").read_text()[:200]
    (back,) = list(read_structures(tmp_path / "a.sdf"))
    np.testing.assert_array_equal(back.positions, positions)
    assert back.info["bonds"] == chain.info["bonds"]
    assert back.charge == -1


def test_mol_holds_one(tmp_path: Path) -> None:
    (molecule,), _ = read(tmp_path / "a.mol", AMMONIUM)
    write_structures(tmp_path / "b.mol", [molecule])
    (back,) = list(read_structures(tmp_path / "b.mol"))
    assert back.info == molecule.info
    with pytest.raises(InputError, match="one structure"):
        write_structures(tmp_path / "c.mol", [molecule, molecule])


def test_aromatic_bonds_and_energies_survive(tmp_path: Path) -> None:
    (benzene,), _ = read(tmp_path / "a.smi", "c1ccccc1 benzene\n")
    benzene.energy = -100.25
    write_structures(tmp_path / "b.sdf", [benzene])
    (back,) = list(read_structures(tmp_path / "b.sdf", LabelConvention(energy="energy_eV")))
    assert back.energy == -100.25
    assert back.info["bonds"] == benzene.info["bonds"]
    assert [order for *_, order in benzene.info["bonds"][:6]] == [1.5] * 6


def test_smiles(tmp_path: Path) -> None:
    text = "smiles name\nCCO ethanol\n# comment\n\nC1CC\n[NH4+].[Cl-]\nO=C([O-])C acetate ion\n*C\n"
    good, failures = read(tmp_path / "a.smi", text)
    assert [s.info["smiles"] for s in good] == ["CCO", "[NH4+].[Cl-]", "O=C([O-])C"]
    assert [s.charge for s in good] == [0, 0, -1]
    assert good[0].info["name"] == "ethanol"
    assert good[2].info["name"] == "acetate ion"
    assert sorted(good[0].numbers.tolist()) == [1] * 6 + [6, 6, 8]
    assert [f.where.line for f in failures] == [5, 8]
    bonds = distances(good[0])[good[0].numbers == 6][:, good[0].numbers == 6]
    assert 1.4 < bonds[0, 1] < 1.6


def test_conformers_are_the_same_every_time(tmp_path: Path) -> None:
    first, _ = read(tmp_path / "a.smi", "OCC(N)C(=O)O\nCCCCC\n")
    second, _ = read(tmp_path / "b.smi", "CCCCC\nOCC(N)C(=O)O\n")
    np.testing.assert_array_equal(first[0].positions, second[1].positions)


RECORD = {
    "jid": "7",
    "atoms": {
        "lattice_mat": [[4.0, 0, 0], [0, 4, 0], [1, 0, 4]],
        "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "cartesian": False,
        "elements": ["Cu", "Cu"],
    },
    "total_energy": -3.5,
    "forces": [[0.1, 0, 0], [-0.1, 0, 0]],
    "stresses": [10.0, 20.0, 30.0, 1.0, 2.0, 3.0],
}
MLEARN = LabelConvention(energy_per_atom=True, stress_unit="kbar", stress_sign="vasp", stress_order="xx yy zz xy xz yz")


def check_copper(copper: Structure) -> None:
    assert copper.numbers.tolist() == [29, 29]
    assert copper.positions[1].tolist() == [2.5, 2, 2]
    assert copper.energy == -7.0
    assert copper.forces is not None
    assert copper.forces[1, 0] == -0.1
    assert copper.stress is not None
    np.testing.assert_allclose(copper.stress[1, 2] * -1602.176634, 3.0)
    np.testing.assert_allclose(copper.stress[2, 2] * -1602.176634, 30.0)


def test_jarvis_records(tmp_path: Path) -> None:
    (copper, second), _ = read(tmp_path / "a.json", json.dumps([RECORD, RECORD]), MLEARN)
    check_copper(copper)
    assert copper.info == {"jid": "7"}
    assert second.where.frame == 1


def test_pymatgen_records_with_outputs(tmp_path: Path) -> None:
    sites = [
        {"species": [{"element": "Cu", "occu": 1}], "abc": abc}
        for abc in RECORD["atoms"]["coords"]  # type: ignore[index]
    ]
    outputs = {"energy": -3.5, "forces": RECORD["forces"], "virial_stress": RECORD["stresses"]}
    lattice = {"matrix": RECORD["atoms"]["lattice_mat"]}  # type: ignore[index]
    record = {"structure": {"lattice": lattice, "sites": sites}, "outputs": outputs, "group": "AIMD"}
    (copper,), _ = read(tmp_path / "a.json", json.dumps(record, indent=1), MLEARN)
    check_copper(copper)
    assert copper.info == {"group": "AIMD"}


@pytest.mark.parametrize("chunk", [1, 7, 64, 10**6])
def test_records_are_decoded_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    good, failures = read(tmp_path / "a.json", json.dumps([RECORD] * 5, indent=2), MLEARN)
    assert (len(good), len(failures)) == (5, 0)
    check_copper(good[4])
    lines = json.dumps([RECORD] * 5, indent=2).splitlines()
    assert [s.where.line for s in good] == [i + 1 for i, line in enumerate(lines) if line == "  {"]


def test_malformed_records(tmp_path: Path) -> None:
    lacking = {**RECORD, "atoms": {"elements": ["Cu"]}}
    unknown = {**RECORD, "atoms": {**RECORD["atoms"], "elements": ["Cu", "Zz"]}}  # type: ignore[dict-item]
    good, failures = read(tmp_path / "a.json", json.dumps([lacking, RECORD, unknown, 5, RECORD]), MLEARN)
    assert [s.where.frame for s in good] == [1, 4]
    assert [f.where.frame for f in failures] == [0, 2, 3]
    text = json.dumps([RECORD, RECORD], indent=1)
    good, failures = read(tmp_path / "a.json", text[:-30], MLEARN)
    assert len(good) == 1
    assert "not valid JSON" in failures[0].reason
    assert failures[0].where.line is not None
    assert read(tmp_path / "a.json", json.dumps([RECORD])[:-1], MLEARN)[1][0].reason.startswith(
        "the list is not closed"
    )
