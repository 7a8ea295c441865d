"""The gallery of molecules: bonds as stated, no mirror images, broken molecules with their reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.report.gallery_atoms import molecule
from eqcli.report.gallery_rows import columns, complete
from eqcli.report.molecules_gallery import MOLECULES, molecules_gallery, rows_of_evaluation
from tests.report.molecules_case import embedded, with_orders, without_bonds
from tests.report.test_gallery import BAD, packed
from tests.report.test_page import Outline


def written(tmp_path: Path, *arguments: Any, **options: Any) -> str:
    size = molecules_gallery(*arguments, tmp_path / "g.html", title=f"Molecules {BAD}", **options)
    assert (tmp_path / "g.html").stat().st_size == size
    return (tmp_path / "g.html").read_text()


def test_what_is_known_without_the_caller() -> None:
    ion = embedded("CC(=O)[O-].[NH4+]")
    broken = with_orders(embedded("CC(=O)N"), [(0, 3)])
    given = [embedded("CO"), ion, broken, without_bonds(embedded("CO"))]
    alcohol, salt, bad, bare = complete(given, [], MOLECULES)
    assert (alcohol["smiles"], alcohol["valid"], alcohol["connected"], alcohol["flags"]) == ("CO", True, True, "")
    assert (salt["valid"], salt["connected"]) == (True, False)
    assert "2 pieces" in salt["flags"]
    assert (bad["valid"], bad["smiles"]) == (False, "")
    assert "has the valence" in bad["flags"]
    assert (bare["smiles"], bare["flags"]) == ("CO", "bonds by the bond rule")


def test_what_the_caller_says_goes_first_and_numbers_of_the_generation_are_kept() -> None:
    given = replace(embedded("CO"), info=embedded("CO").info | {"sample": 7, "wanted_gap": 3.5, "seed": 1})
    (row,) = complete([given], [{"smiles": "OC", "valid": True, "strain_mmff": 0.25}], MOLECULES)
    assert (row["smiles"], row["sample"], row["wanted_gap"], row["strain_mmff"]) == ("OC", 7, 3.5, 0.25)
    headings = [column.heading for column in columns([row], MOLECULES)]
    assert headings[:3] == ["No.", "SMILES", "Formula"]
    assert "Strain, MMFF (eV)" in headings


def test_the_viewer_has_the_molecule_itself_and_not_its_mirror_image() -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        given = Structure(np.array([6, 7, 8, 9]), rng.normal(size=(4, 3)), info={"bonds": [[0, 1, 2], [1, 3, 1.5]]})
        made = molecule(given)
        assert made["names"] == ["C", "N", "O", "F"]
        assert made["bonds"] == [[0, 1, 2], [1, 3, 1]]
        shown = np.array([made["x"], made["y"], made["z"]]).T
        before, after = (p[1:] - p[0] for p in (given.positions, shown))
        np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-4)
        assert np.linalg.det(after) == pytest.approx(np.linalg.det(before), abs=1e-4)
        assert (np.diff(shown.std(axis=0)) < 1e-6).all()


@pytest.mark.parametrize("bonds", [[[0, 5, 1]], [[-1, 0, 1]], None])
def test_bonds_of_other_atoms_do_not_reach_the_viewer(bonds: Any) -> None:
    given = Structure(np.array([6, 8]), np.eye(3)[:2], info={"bonds": bonds})
    assert "bonds" not in molecule(given)


def test_a_single_atom_and_a_line_can_be_shown() -> None:
    assert molecule(Structure(np.array([10]), np.ones((1, 3))))["x"] == [0.0]
    line = molecule(Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [0, 0, 1.2]])))
    assert abs(line["x"][0] - line["x"][1]) == pytest.approx(1.2)


def test_aromatic_bonds_are_shown_in_a_kekule_form() -> None:
    shown = MOLECULES.drawn(embedded("c1ccccc1", aromatic=True))
    assert sorted(order for *_, order in shown["bonds"]) == [1] * 9 + [2] * 3


def test_the_page_is_complete_offline_and_escaped(tmp_path: Path) -> None:
    pytest.importorskip("chemiscope")
    lost = replace(embedded("CO"), positions=np.full((6, 3), np.nan))
    structures = [embedded("CO"), lost, with_orders(embedded("CC(=O)N"), [(0, 3)]), embedded("CCO")]
    rows = [{"strain_mmff": None if i == 2 else 0.1 * i, BAD: 1, "note": BAD} for i in range(4)]
    page = written(tmp_path, structures, rows, shown=2)
    outline = Outline(page)
    assert outline.links == []
    assert "<img" not in page
    assert outline.tags.count("svg") == 2
    assert [f'data-shown="{k}"' in page for k in range(3)] == [True, True, False]
    data = json.loads(packed(page, "viewer-data"))
    assert [structure["size"] for structure in data["structures"]] == [6, 9]
    assert data["properties"]["Strain, MMFF"]["values"] == [0, None]
    assert "<" not in json.dumps(data)
    axes = data["settings"]["map"]
    assert (axes["x"]["property"], axes["y"]["property"]) == ("Atoms", "Strain, MMFF")
    assert data["settings"]["structure"][0]["unitCell"] is False
    assert len(page) < 2_500_000


def test_a_page_without_molecules(tmp_path: Path) -> None:
    Outline(written(tmp_path, [], []))


def test_rows_of_an_evaluation_show_the_bonds_that_were_chosen() -> None:
    row = {
        "file": "a.sdf",
        "sample": 3,
        "formula": "CH4O",
        "atoms": 6,
        "rule_smiles": "C",
        "rule_valid": False,
        "rule_reason": "no",
        "own_smiles": "CO",
        "own_valid": True,
        "own_connected": True,
        "own_stable": True,
        "own_reason": "",
        "own_radicals": 2,
        "unique": False,
        "novel": True,
        "posebusters": False,
        "posebusters_failed": "bond_lengths",
        "qed": 0.4,
        "failure": None,
    }
    (own,), (rule,) = rows_of_evaluation([row], "own"), rows_of_evaluation([row], "rule")
    assert (own["smiles"], own["valid"], own["n_atoms"], own["qed"]) == ("CO", True, 6, 0.4)
    assert own["flags"] == "bond_lengths; 2 unpaired electrons; repeats an earlier one"
    assert (rule["smiles"], rule["valid"]) == ("C", False)
    assert rule["flags"].startswith("no; ")
    assert not {"file", "own_smiles", "rule_smiles", "failure"} & set(own)
