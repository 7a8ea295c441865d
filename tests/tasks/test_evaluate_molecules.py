"""Evaluation of generated molecules: figures of cases whose answer is known, and files that contradict themselves."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import ExitCode, InputError
from eqcli.io import write_structures
from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure
from eqcli.tasks.evaluate_molecules import evaluate_molecules
from eqcli.tasks.evaluate_molecules_result import MoleculeEvaluation
from tests.report.test_page import Outline

SMILES = ("CCO", "CC=O", "C#CC", "CCN", "COC", "CC(=O)O", "C1CC1", "CCF", "NC=O", "c1ccoc1", "CC#N", "OCCO")


def molecule(smiles: str, **info: Any) -> Structure:
    """A relaxed molecule with its bonds."""
    made = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(made, randomSeed=7) == 0
    AllChem.MMFFOptimizeMolecule(made)
    structure = structure_of(made)
    return replace(structure, info=structure.info | info)


def bare(structure: Structure) -> Structure:
    """Without bonds, as a model of atoms alone makes it."""
    return replace(structure, info={key: value for key, value in structure.info.items() if key != "bonds"})


def broken(structure: Structure) -> Structure:
    """The first bond is a triple one, which no first atom of these molecules can have."""
    (i, j, _), *rest = structure.info["bonds"]
    return replace(structure, info=structure.info | {"bonds": [[i, j, 3], *rest]})


def in_pieces(structure: Structure) -> Structure:
    """The last atom is far away, with no bond."""
    last = len(structure) - 1
    positions = structure.positions.copy()
    positions[last] += 20.0
    bonds = [bond for bond in structure.info["bonds"] if last not in bond[:2]]
    return replace(structure, positions=positions, info=structure.info | {"bonds": bonds})


def evaluate(folder: Path, made: list[Structure], reference: list[Structure], **options: Any) -> MoleculeEvaluation:
    write_structures(folder / "made.h5", made)
    write_structures(folder / "reference.h5", reference)
    given: dict[str, Any] = {"workers": 1, "bootstrap": 50, "posebusters": False, **options}
    return evaluate_molecules([folder / "made.h5"], folder / "reference.h5", folder / "report", **given)


def figure(result: MoleculeEvaluation, key: str, part: str = "own", name: str = "generated") -> float | None:
    return getattr(result.sets[name], part)[key].value


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest."""
    monkeypatch.setattr("eqcli.report.molecules_plots.molecule_plots", lambda result, curves: [])


@pytest.fixture(scope="module")
def reference() -> list[Structure]:
    return [molecule(smiles) for smiles in SMILES]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, reference: list[Structure]) -> MoleculeEvaluation:
    """Ten molecules: six of the training set, one of them twice; two new ones; a wrong valence; one in pieces."""
    made = [replace(s, info=s.info | {"sample": k, "wanted_heavy_atoms": 3}) for k, s in enumerate(reference[:6])]
    made += [made[0], molecule("CCC"), broken(reference[6]), in_pieces(reference[7])]
    folder = tmp_path_factory.mktemp("molecules")
    write_structures(folder / "training.h5", reference[:6] + reference[8:])
    options: dict[str, Any] = {"training": folder / "training.h5", "posebusters": True, "posebusters_limit": 2}
    return evaluate(folder, made, reference, **options)


def test_figures_by_own_bonds(result: MoleculeEvaluation) -> None:
    assert result.bonds == ("rule", "own")
    assert result.main == "own"
    assert figure(result, "valid") == pytest.approx(9 / 10)
    assert figure(result, "connected") == pytest.approx(9 / 10)
    assert figure(result, "valid_and_connected") == pytest.approx(8 / 10)
    assert figure(result, "molecule_stability") == pytest.approx(8 / 10)
    # Nine are valid and one repeats another; two of these eight are not in the training set.
    assert figure(result, "unique") == pytest.approx(8 / 9)
    assert figure(result, "novel") == pytest.approx(2 / 8)
    assert figure(result, "valid_connected_unique_novel") == pytest.approx(1 / 10)


def test_the_rule_does_not_look_at_own_bonds(result: MoleculeEvaluation) -> None:
    """The wrong bond order is the file's alone; the loose atom is loose for the rule too."""
    assert figure(result, "valid", "rule") == 1
    assert figure(result, "valid_and_connected", "rule") == pytest.approx(9 / 10)


def test_every_figure_says_of_how_many(result: MoleculeEvaluation) -> None:
    own = result.sets["generated"].own
    assert own is not None
    assert own["valid"].n == 10
    assert own["unique"].n == 9
    low, high = own["valid"].low, own["valid"].high
    assert low is not None
    assert high is not None
    assert low < 0.9 < high <= 1
    assert result.sets["generated"].strain["mmff"]["mean"].n == 8
    assert result.sets["generated"].checks["passes"].n == 2


def test_baselines_and_reference_stand_beside(result: MoleculeEvaluation) -> None:
    assert list(result.sets) == ["generated", "resampled training", "embedded SMILES", "reference"]
    for name in ("resampled training", "embedded SMILES"):
        assert figure(result, "novel", name=name) == 0
        assert figure(result, "valid_and_connected", name=name) == 1
    assert figure(result, "valid", name="reference") == 1
    assert figure(result, "molecule_stability", name="reference") == 1
    parts = [set(found.own or {}) for found in result.sets.values()]
    assert parts == 4 * [parts[0]]


def test_strain_tells_relaxed_geometry_from_an_embedded_one(result: MoleculeEvaluation) -> None:
    relaxed, crude = (result.sets[name].strain["mmff"]["mean"].value for name in ("generated", "embedded SMILES"))
    assert relaxed < 0.02
    assert crude > 3 * relaxed


def test_wanted_properties(result: MoleculeEvaluation, reference: list[Structure]) -> None:
    """Wanted are three heavy atoms; the first six and the repeated one have 3, 3, 3, 3, 3, 4 and 3."""
    figures = result.sets["generated"].properties
    assert figures is not None
    assert figures["mae_heavy_atoms"].value == pytest.approx(1 / 7)
    assert figures["mae_heavy_atoms"].n == 7
    heavy = np.array([(s.numbers > 1).sum() for s in reference])
    assert figures["mae_of_shuffled_heavy_atoms"].value == pytest.approx(np.abs(heavy - 3).mean())


def test_every_molecule_has_a_row_that_says_why(result: MoleculeEvaluation) -> None:
    with result.table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert [row["own_valid"] for row in rows] == ["True"] * 8 + ["False", "True"]
    assert "valence" in rows[8]["own_reason"]
    assert rows[8]["rule_valid"] == "True"
    assert rows[9]["own_fragments"] == "2"
    assert rows[6]["duplicate_of"] == "0"
    assert rows[0]["own_smiles"] == "CCO"
    assert float(rows[0]["strain_mmff"]) < 0.05
    assert float(rows[0]["molecular_weight"]) == pytest.approx(46.07, abs=0.01)
    assert [row["posebusters"] for row in rows[:3]] == ["True", "True", ""]
    assert rows[0]["wanted_heavy_atoms"] == "3"
    assert result.exit_code is ExitCode.OK
    assert sum(result.reasons["own"].values()) == 1


def test_report_is_whole(result: MoleculeEvaluation) -> None:
    page = result.report_html.read_text()
    outline = Outline(page)
    assert not [link for link in outline.links if not link.startswith("#") and link != "gallery.html"]
    assert (result.output / "gallery.html").is_file()
    data = json.loads(result.report_json.read_text())
    assert data["sets"]["generated"]["own"]["valid"]["value"] == pytest.approx(0.9)
    assert data["settings"]["valences"] == {"rule": "published", "own": "charged"}
    assert data["settings"]["versions"]["rdkit"]
    assert data["counts"] == {"generated": 10, "judged": 10, "reference": 12, "training": 10}
    assert len(data["provenance"]["files"]) == 3
    assert list((result.output / "plots").glob("*.svg"))
    assert len(result.rows) == 8
    assert any("valid and connected" in name for name, _ in result.summary())


@pytest.mark.usefixtures("no_plots")
def test_molecules_without_bonds(tmp_path: Path, reference: list[Structure]) -> None:
    """A model of atoms alone: the rule for all sets; bonds of the training set are found for the baselines."""
    made = [bare(structure) for structure in reference[:4]]
    result = evaluate(tmp_path, made, [bare(structure) for structure in reference])
    assert result.bonds == ("rule",)
    assert all(found.own is None for found in result.sets.values())
    assert figure(result, "molecule_stability", "rule") == 1
    assert figure(result, "novel", "rule") == 0
    assert result.settings["training_bonds"] == {"found by RDKit": 12}
    assert "embedded SMILES" in result.sets
    assert any("--training" in warning for warning in result.warnings)


@pytest.mark.usefixtures("no_plots")
def test_molecules_that_state_no_bonds_among_others_that_do(tmp_path: Path, reference: list[Structure]) -> None:
    result = evaluate(tmp_path, [reference[0], bare(reference[1])], reference[:3], bonds="own", baselines=False)
    assert figure(result, "valid") == pytest.approx(1 / 2)
    assert result.exit_code is ExitCode.PARTIAL
    (failure,) = result.failures
    assert "states no bonds" in failure.reason
    assert result.counts["judged"] == 1
    assert "states no bonds" in result.molecules[1]["failure"]
    assert list(result.sets) == ["generated", "reference"]


@pytest.mark.usefixtures("no_plots")
def test_unreadable_molecules_are_failures(tmp_path: Path, reference: list[Structure]) -> None:
    write_structures(tmp_path / "made.xyz", [bare(structure) for structure in reference[:3]])
    lines = (tmp_path / "made.xyz").read_text().splitlines()
    lines[2] = "C here there nowhere"
    (tmp_path / "made.xyz").write_text("\n".join(lines) + "\n")
    write_structures(tmp_path / "reference.sdf", reference[:3])
    result = evaluate_molecules(
        [tmp_path / "made.xyz"], tmp_path / "reference.sdf", tmp_path / "report",
        workers=1, bootstrap=0, baselines=False, posebusters=False,
    )  # fmt: skip
    assert result.exit_code is ExitCode.PARTIAL
    assert result.counts["generated"] == 2
    assert len(result.failures) == 1
    assert 'id="failures"' in result.report_html.read_text()


def test_nothing_valid(tmp_path: Path, reference: list[Structure]) -> None:
    """A model that has learned nothing gets a report too."""
    rng = np.random.default_rng(0)
    made = [replace(bare(s), positions=0.4 * rng.normal(size=(len(s), 3))) for s in reference[:3]]
    result = evaluate(tmp_path, made, reference, baselines=False)
    assert figure(result, "valid", "rule") == 0
    assert figure(result, "unique", "rule") is None
    assert result.sets["generated"].strain["mmff"]["mean"].value is None
    assert sum(result.reasons["rule"].values()) == 3
    assert result.report_html.is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valences": "loose"}, "unknown valences 'loose'"),
        ({"bonds": "some"}, "unknown bonds 'some'"),
        ({"posebusters": False, "posebusters_limit": 3}, "exclude each other"),
        ({"limit": 0}, "at least 1"),
        ({"training": Path("absent.sdf")}, "no such file"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path, reference: list[Structure], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path, reference[:1], reference[:1], **options)
    assert not (tmp_path / "report").exists()


def test_crystals_and_mixtures_are_refused(tmp_path: Path, reference: list[Structure]) -> None:
    crystal = replace(bare(reference[0]), cell=9 * np.eye(3), pbc=np.ones(3, dtype=bool))
    with pytest.raises(InputError, match="1 of 2 structures have a cell"):
        evaluate(tmp_path, [reference[0], crystal], reference[:1])
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="these are crystals"):
        evaluate(tmp_path / "other", reference[:1], [crystal])


def test_a_report_is_not_replaced_unasked(tmp_path: Path, reference: list[Structure]) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        evaluate(tmp_path, reference[:1], reference[:1])
