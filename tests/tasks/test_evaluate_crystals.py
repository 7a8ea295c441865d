"""Evaluation of generated crystals: figures of cases whose answer is known, and files that contradict themselves."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import write_structures
from eqcli.io.structure import Structure
from eqcli.tasks.evaluate_crystals import evaluate_crystals
from eqcli.tasks.evaluate_crystals_result import CrystalEvaluation
from tests.alloys import EMT, INTERMETALLICS, alloys
from tests.report.test_page import Outline

TRAIN = INTERMETALLICS / "train.extxyz"


def targets(count: int) -> list[Structure]:
    """Alloys of two elements, no two of one composition."""
    found: dict[Any, Structure] = {}
    for structure in alloys():
        numbers, counts = np.unique(structure.numbers, return_counts=True)
        if len(numbers) == 2 and len(structure) >= 3:
            found.setdefault((tuple(numbers), tuple(counts / counts.min())), structure)
    return list(found.values())[:count]


def plain(structure: Structure, **info: Any) -> Structure:
    return Structure(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc, info=info)


def collapsed(structure: Structure, **info: Any) -> Structure:
    return replace(plain(structure, **info), positions=np.zeros_like(structure.positions))


def write(folder: Path, name: str, structures: list[Structure]) -> Path:
    write_structures(folder / name, structures)
    return folder / name


def evaluate(folder: Path, made: list[Structure], reference: list[Structure], **options: Any) -> CrystalEvaluation:
    sources = write(folder, "made.extxyz", made), write(folder, "reference.extxyz", reference)
    given: dict[str, Any] = {"workers": 1, "bootstrap": 100, **options}
    return evaluate_crystals([sources[0]], sources[1], folder / "report", **given)


def figure(result: CrystalEvaluation, key: str, row: int = 0) -> float | None:
    return result.compared[row].figures[key][0]


@pytest.fixture(scope="module")
def prediction(tmp_path_factory: pytest.TempPathFactory) -> CrystalEvaluation:
    """Of six targets: four exact, one of them at twice the volume; one collapsed at first and then right; one never."""
    wanted = targets(6)
    made = [plain(t, sample=0, target=k, model="test") for k, t in enumerate(wanted[:3])]
    large = plain(wanted[3], sample=0, target=3)
    scale = 2 ** (1 / 3)
    made.append(replace(large, cell=large.cell * scale, positions=large.positions * scale))
    made += [collapsed(wanted[4], sample=0, target=4, flags="overlap"), plain(wanted[4], sample=1, target=4)]
    made += [collapsed(wanted[5], sample=0, target=5)]
    folder = tmp_path_factory.mktemp("prediction")
    return evaluate(folder, made, wanted, training=TRAIN, ks=(1, 20))


def test_figures_of_structure_prediction(prediction: CrystalEvaluation) -> None:
    assert prediction.situation == "structure prediction"
    assert figure(prediction, "match_rate@1") == pytest.approx(4 / 6)
    assert figure(prediction, "match_rate@2") == pytest.approx(5 / 6)
    assert figure(prediction, "rmse@2") == pytest.approx(0, abs=1e-4)
    assert figure(prediction, "crmse@2") == pytest.approx(0.5 / 6, abs=1e-4)
    assert figure(prediction, "metre") == pytest.approx(5 / 6)
    assert figure(prediction, "volume_error@1") == pytest.approx(1 / 4, abs=1e-4)
    value, low, high = prediction.compared[0].figures["match_rate@1"]
    assert low is not None
    assert high is not None
    assert low < value < high
    assert prediction.exit_code is ExitCode.OK


def test_baselines_stand_beside(prediction: CrystalEvaluation) -> None:
    """The targets are in the training set here, so that substitution finds every one of them."""
    names = [row.name for row in prediction.compared]
    assert names == ["generated", "random coordinates", "random species", "template substitution"]
    assert figure(prediction, "match_rate@2", 3) == 1
    assert figure(prediction, "rmse@2", 3) == pytest.approx(0, abs=1e-4)
    assert [set(row.figures) for row in prediction.compared] == 4 * [set(prediction.compared[0].figures)]


def test_every_structure_has_a_row_that_says_why(prediction: CrystalEvaluation) -> None:
    with prediction.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["matched"] for row in rows] == ["True"] * 4 + ["False", "True", "False"]
    assert rows[4]["valid"] == "False"
    assert "nearer than" in rows[4]["reason"]
    assert rows[4]["flags"] == "overlap"
    assert float(rows[3]["volume_error"]) == pytest.approx(1, abs=1e-4)
    assert float(rows[0]["rmse"]) == pytest.approx(0, abs=1e-4)
    assert all(row["known_as"] for row in rows[:4])


def test_report_is_whole(prediction: CrystalEvaluation) -> None:
    page = prediction.report_html.read_text()
    outline = Outline(page)
    assert not [link for link in outline.links if not link.startswith("#")]
    assert len(outline.identifiers) == len(set(outline.identifiers))
    assert "template substitution" in page
    data = json.loads(prediction.report_json.read_text())
    assert data["settings"]["tolerances"] == {"ltol": 0.3, "stol": 0.5, "angle_tol": 10.0}
    assert data["settings"]["versions"]["pymatgen"]
    assert data["provenance"]["files"]
    assert data["compared"][0]["figures"]["match_rate@1"]["value"] == pytest.approx(4 / 6)
    assert (prediction.output / "plots" / "rmse.svg").is_file()
    assert len(prediction.rows) == 4
    assert any("match rate" in name for name, _ in prediction.summary())


def test_missing_predictions_count_and_are_told(tmp_path: Path) -> None:
    wanted = targets(4)
    result = evaluate(tmp_path, [plain(wanted[1], target=1)], wanted, baselines=False)
    assert figure(result, "match_rate@1") == pytest.approx(1 / 4)
    assert any("3 rows" in warning and "--limit" in warning for warning in result.warnings)
    assert any("--training" in warning for warning in result.warnings)
    assert result.common["novelty"] is None
    again = evaluate_crystals(
        [tmp_path / "made.extxyz"], tmp_path / "reference.extxyz", tmp_path / "report",
        workers=1, bootstrap=10, baselines=False, limit=2, overwrite=True,
    )  # fmt: skip
    assert figure(again, "match_rate@1") == pytest.approx(1 / 2)


def test_predictions_of_another_composition_are_told(tmp_path: Path) -> None:
    wanted = targets(2)
    result = evaluate(tmp_path, [plain(wanted[0], target=1), plain(wanted[0], target=0)], wanted, baselines=False)
    assert any("another composition" in warning for warning in result.warnings)
    assert figure(result, "match_rate@1") == pytest.approx(1 / 2)
    assert figure(result, "metre") == pytest.approx(1 / 2)


@pytest.fixture(scope="module")
def de_novo(tmp_path_factory: pytest.TempPathFactory) -> CrystalEvaluation:
    """Seven crystals of the training set, one of them twice, and one that is none."""
    known = targets(20)
    made = [plain(s, sample=k) for k, s in enumerate([*known[:7], known[0]])] + [collapsed(known[9], sample=8)]
    return evaluate(tmp_path_factory.mktemp("new"), made, known, training=TRAIN)


def test_figures_of_de_novo_generation(de_novo: CrystalEvaluation) -> None:
    assert de_novo.situation == "de novo generation"
    assert figure(de_novo, "valid_structure") == pytest.approx(8 / 9)
    # The collapsed crystal repeats none and is not known: new, and worthless.
    assert figure(de_novo, "valid_unique_novel") == 0
    assert figure(de_novo, "uniqueness") == pytest.approx(8 / 9)
    assert figure(de_novo, "novelty") == pytest.approx(1 / 9)
    assert figure(de_novo, "coverage_precision") >= 8 / 9
    assert figure(de_novo, "coverage_recall") >= 7 / 20
    assert de_novo.structures[7]["duplicate_of"] == 0
    assert [row.name for row in de_novo.compared] == ["generated", "training copies", "random species"]
    assert figure(de_novo, "novelty", 1) == 0


def test_fast_coverage_says_that_it_is_not_that_of_papers(de_novo: CrystalEvaluation) -> None:
    assert "cannot be compared with those of papers" in de_novo.report_html.read_text()
    assert "95%" in json.loads(de_novo.report_json.read_text())["settings"]["coverage"]["cutoffs"]["source"]


def test_published_coverage(tmp_path: Path) -> None:
    known = targets(3)
    options: dict[str, Any] = {"fingerprint": "crystalnn", "coverage_cutoffs": "mp_20", "baselines": False}
    result = evaluate(tmp_path, [plain(known[0])], known[:2], **options)
    assert figure(result, "coverage_precision") == 1
    assert result.settings["coverage"]["cutoffs"]["structure"] == 0.4
    assert "is that of the papers" in result.report_html.read_text()


def test_stability(tmp_path: Path) -> None:
    """Known crystals at rest are on the hull or near it, and not novel."""
    known = [s for s in alloys() if len(s) <= 2][:2]
    result = evaluate(
        tmp_path, [plain(s) for s in known], known, training=TRAIN, baselines=False,
        coverage_cutoffs=(1.0, 9.0), relaxer=EMT, hull=[TRAIN],
    )  # fmt: skip
    assert result.stability is not None
    assert result.stability["figures"]["certified"] == 2
    assert result.stability["figures"]["sun"] == 0
    assert all(row["e_hull"] is not None for row in result.structures)
    assert 'id="stability"' in result.report_html.read_text()
    assert any(name == "stable, unique, novel" for name, _ in result.summary())


def test_unreadable_frames_are_failures(tmp_path: Path) -> None:
    known = targets(2)
    made = write(tmp_path, "made.extxyz", [plain(known[0], target=0), plain(known[1], target=1)])
    lines = made.read_text().splitlines()
    lines[2] = lines[2].split()[0] + " here there nowhere"
    made.write_text("\n".join(lines) + "\n")
    reference = write(tmp_path, "reference.extxyz", known)
    result = evaluate_crystals([made], reference, tmp_path / "report", workers=1, baselines=False, bootstrap=10)
    assert result.exit_code is ExitCode.PARTIAL
    assert len(result.failures) == 1
    assert figure(result, "match_rate@1") == pytest.approx(1 / 2)
    assert 'id="failures"' in result.report_html.read_text()


def test_targets_are_rows_of_the_file(tmp_path: Path) -> None:
    """An unreadable row of the reference moves no other."""
    known = targets(3)
    made = write(tmp_path, "made.extxyz", [plain(s, target=row) for row, s in enumerate(known)])
    reference = write(tmp_path, "reference.extxyz", known)
    lines = reference.read_text().splitlines()
    second = 2 + len(known[0])
    lines[second + 2] = "Cu here there nowhere"
    reference.write_text("\n".join(lines) + "\n")
    result = evaluate_crystals([made], reference, tmp_path / "report", workers=1, baselines=False, bootstrap=10)
    assert figure(result, "match_rate@1") == 1
    assert [row["target"] for row in result.structures] == [0, 2]
    assert result.exit_code is ExitCode.PARTIAL
    assert any("cannot be read" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerances": "loose"}, "unknown tolerances 'loose'"),
        ({"fingerprint": "slow"}, "unknown fingerprint 'slow'"),
        ({"ks": ()}, "begin at 1"),
        ({"relaxer": EMT}, "a relaxer and a hull"),
        ({"coverage_cutoffs": "mp_20"}, "belong to another fingerprint"),
        ({"coverage_cutoffs": "mp_99", "fingerprint": "crystalnn"}, "no cutoffs of coverage are known for 'mp_99'"),
        ({"training": Path("absent.extxyz")}, "no such file"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    known = targets(1)
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path, [plain(known[0])], known, **options)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("target", "message"), [((0, None), "1 of 2 structures name a target"), ((0, 2), "has 2 rows")]
)
def test_targets_that_contradict(tmp_path: Path, target: tuple[int | None, int | None], message: str) -> None:
    known = targets(2)
    made = [plain(s, **({} if row is None else {"target": row})) for s, row in zip(known, target, strict=True)]
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path, made, known)


def test_a_report_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        evaluate(tmp_path, [plain(s) for s in targets(1)], targets(1))


@pytest.mark.slow
def test_the_same_on_several_cores(prediction: CrystalEvaluation, tmp_path: Path) -> None:
    folder = prediction.output.parent
    again = evaluate_crystals(
        [folder / "made.extxyz"], folder / "reference.extxyz", tmp_path / "report", training=TRAIN, bootstrap=100,
        workers=2, baselines=False,
    )  # fmt: skip
    assert again.compared[0].as_dict() == prediction.compared[0].as_dict()
    strip = [{k: v for k, v in row.items() if k != "file"} for row in again.structures]
    assert strip == [{k: v for k, v in row.items() if k != "file"} for row in prediction.structures]
