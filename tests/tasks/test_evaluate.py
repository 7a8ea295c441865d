"""The evaluate task: figures, report files, warnings, failures, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.audit.subject import Subject
from eqcli.engine.predictor import Predictor
from eqcli.errors import ExitCode, Failure, InputError, Where
from eqcli.files import sha256
from eqcli.io import read_structures, write_structures
from eqcli.io.conventions import LabelConvention
from eqcli.io.structure import Structure
from eqcli.models.potentials.config import POTENTIALS
from eqcli.tasks.evaluate import CANDIDATES, evaluate, labelled_and_predicted
from eqcli.tasks.predict import predict
from tests.audit import broken
from tests.listener import Listener
from tests.toy import ToyConfig
from tests.toy_model import register_toy, save_toy, toy_model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register_toy(monkeypatch)
    return save_toy(tmp_path / "model" / "model.safetensors", torch.float32)


def labelled(count: int, *, energy: float = 0.0, force: float = 0.0, stress: float = 0.0) -> list[Structure]:
    """Structures labelled by the toy model itself, plus errors that are then known."""
    rng = np.random.default_rng(0)
    subject = Subject.of(toy_model().potential)
    structures = []
    for k in range(count):
        base = broken.crystal() if k % 3 == 2 else broken.molecule()
        structure = replace(base, positions=base.positions + rng.normal(scale=0.03, size=base.positions.shape))
        outcome = subject.predict([structure], stress=True)[0]
        assert outcome.forces is not None
        structure.energy = outcome.energy - energy * len(structure)
        structure.forces = outcome.forces - force
        structure.stress = outcome.stress - stress if outcome.stress is not None else None
        structure.info["config_type"] = "crystal" if structure.pbc.any() else "molecule"
        structures.append(structure)
    return structures


def save(path: Path, structures: list[Structure]) -> Path:
    write_structures(path, structures)
    return path


def test_known_errors_are_found(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(9, energy=0.05, force=0.2, stress=0.01))
    result = evaluate(model, [data], tmp_path / "report", audit=False)
    total = result.figures["total"]
    assert total["energy_per_atom"]["mae"] == pytest.approx(50.0, rel=1e-3)
    assert total["forces"]["rmse"] == pytest.approx(200.0, rel=1e-3)
    assert total["stress"]["mae"] == pytest.approx(10.0, rel=1e-3)
    assert total["stress_gpa"]["mae"] == pytest.approx(1.602, rel=1e-3)
    assert total["stress"]["count"] == 3 * 6
    assert set(result.figures["by_config_type"]) == {"crystal", "molecule"}
    assert result.exit_code == ExitCode.OK
    assert ("structures", "9") in result.summary()


@pytest.mark.parametrize("suffix", ["extxyz", "h5"])
def test_a_file_of_predictions_is_compared_with_its_reference_labels(model: Path, tmp_path: Path, suffix: str) -> None:
    data = save(tmp_path / "test.extxyz", labelled(6, energy=0.05, force=0.2, stress=0.01))
    predicted = tmp_path / f"predicted.{suffix}"
    predict(model, [data], predicted)
    figures = [evaluate(model, [p], tmp_path / p.stem, audit=False).figures["total"] for p in (data, predicted)]
    for name in ("energy_per_atom", "forces", "stress"):
        assert figures[1][name]["mae"] == pytest.approx(figures[0][name]["mae"], rel=1e-9)
        assert figures[0][name]["mae"] > 1


def test_report_files(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(6, force=0.1))
    result = evaluate(model, [data], tmp_path / "report", predictions=True, seed=4)
    assert result.exit_code == ExitCode.OK
    page = result.report_html.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    content = json.loads(result.report_json.read_text(encoding="utf-8"))
    assert content["model"]["sha256"] == sha256(model)
    assert content["model"]["header"]["config"]["name"] == "toy"
    (entry,) = content["data"]
    assert "energy: 'energy' in 6 of 6 frames; unit eV" in entry.pop("labels")
    assert LabelConvention(**entry.pop("convention")).energy_unit in (None, "eV")
    assert entry == {"file": str(data), "sha256": sha256(data), "structures": 6}
    assert content["figures"]["total"]["forces"]["mae"] == pytest.approx(100.0, rel=1e-3)
    assert content["audit"]["passed"] is True
    assert content["audit"]["seed"] == 4
    assert content["audit"]["checks"][1]["distribution"]
    assert content["provenance"]["packages"]["torch"]
    plots = {path.name for path in (tmp_path / "report" / "plots").iterdir()}
    assert {"parity-forces.svg", "symmetry.svg", "dimers.svg"} <= plots
    predicted = list(read_structures(tmp_path / "report" / "predictions.extxyz"))
    assert len(predicted) == 6
    assert not list((tmp_path / "report").rglob("*tmp*"))


def test_result_is_plain_json(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(3))
    result = evaluate(model, [data], tmp_path / "report", audit_structures=1)
    content = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert content["exit_code"] == 0
    assert "curves" not in content["audit"]["checks"][0]


def test_existing_report_is_kept(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(3))
    evaluate(model, [data], tmp_path / "report", audit=False)
    before = (tmp_path / "report" / "index.html").read_bytes()
    (tmp_path / "report" / "notes.txt").write_text("mine")
    (tmp_path / "report" / "plots" / "old.svg").write_text("<svg/>")
    with pytest.raises(InputError, match="--overwrite"):
        evaluate(model, [data], tmp_path / "report", audit=False)
    assert (tmp_path / "report" / "index.html").read_bytes() == before
    evaluate(model, [data], tmp_path / "report", audit=False, overwrite=True)
    assert (tmp_path / "report" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "report" / "plots" / "old.svg").exists()


def test_report_name_that_is_a_file(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(3))
    with pytest.raises(InputError, match="this is a file"):
        evaluate(model, [data], data, audit=False, overwrite=True)


def test_missing_data_is_said_before_any_work(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(3))
    with pytest.raises(InputError, match="no such file"):
        evaluate(model, [data, tmp_path / "tset.extxyz"], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_structures_too_large_for_the_memory_are_failures_and_the_others_count(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eqcli.engine import predictor

    plain = predictor.evaluate_on_cores

    def cramped(potential: Any, graph: Any, **options: Any) -> Any:
        if graph.num_nodes > 20:
            raise MemoryError
        return plain(potential, graph, **options)

    monkeypatch.setattr(predictor, "evaluate_on_cores", cramped)
    chain = np.arange(25.0)[:, None] * np.array([1.5, 0.0, 0.0])
    large = Structure(np.full(25, 6), chain, energy=-1.0)
    data = save(tmp_path / "d.extxyz", [*labelled(3), large])
    result = evaluate(model, [data], tmp_path / "report", audit=False)
    assert result.exit_code is ExitCode.PARTIAL
    (failure,) = result.failures
    assert "needs more memory" in failure.reason
    assert result.figures["structures"] == 3


def test_failures_are_listed_and_the_others_go_on(model: Path, tmp_path: Path) -> None:
    good = labelled(3)
    gold = Structure(np.array([79, 79]), np.array([[0.0, 0, 0], [2.6, 0, 0]]), energy=-1.0)
    data = save(tmp_path / "test.extxyz", [good[0], gold, good[1], good[2]])
    with data.open("a") as file:
        file.write("2\nProperties=species:S:1:pos:R:3\nC 0 0 zero\nC 0 0 1\n")
    result = evaluate(model, [data], tmp_path / "report", audit=False)
    assert result.figures["structures"] == 3
    assert len(result.failures) == 2
    assert result.exit_code == ExitCode.PARTIAL
    assert result.figures["total"]["forces"]["mae"] == pytest.approx(0.0, abs=0.1)
    assert "Au" in result.report_html.read_text(encoding="utf-8")


def test_nothing_to_evaluate_is_an_error(model: Path, tmp_path: Path) -> None:
    gold = Structure(np.array([79]), np.zeros((1, 3)), energy=-1.0)
    data = save(tmp_path / "test.extxyz", [gold])
    with pytest.raises(InputError, match="no structure could be evaluated"):
        evaluate(model, [data], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_data_without_labels_is_audited_only(model: Path, tmp_path: Path) -> None:
    bare = [Structure(s.numbers, s.positions, s.cell, s.pbc) for s in labelled(3)]
    data = save(tmp_path / "test.extxyz", bare)
    result = evaluate(model, [data], tmp_path / "report", audit_structures=1)
    assert result.figures["total"] == {}
    assert any("audited, not compared" in warning for warning in result.warnings)
    assert result.audit is not None
    assert result.audit.passed
    assert ("errors", "the data carry no labels") in result.summary()


def test_without_data_the_model_is_audited_on_probes(model: Path, tmp_path: Path) -> None:
    listener = Listener()
    result = evaluate(model, [], tmp_path / "report", audit=["extensivity"], audit_structures=3, report=listener)
    assert result.exit_code == ExitCode.OK
    assert result.audit is not None
    assert result.audit.groups == ["extensivity"]
    assert sorted(result.audit.structures) == ["probe crystal", "probe molecule 1", "probe molecule 2"]
    assert any("3 probe structures of H, C, O" in message for message in listener.messages)
    assert [name for name, _ in result.summary()] == ["audit", "report"]
    page = result.report_html.read_text(encoding="utf-8")
    assert "No data were given" in page
    assert 'id="accuracy"' not in page
    json.loads(json.dumps(result.as_dict(), allow_nan=False))


def test_neither_data_nor_audit_is_nothing_to_do(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to do"):
        evaluate(model, [], tmp_path / "report", audit=False)


def test_worst_rotations_are_written_and_go_with_their_report(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(3))
    result = evaluate(model, [data], tmp_path / "report", audit=["equivariance"], audit_structures=2)
    frames = list(read_structures(tmp_path / "report" / "worst-rotations.extxyz"))
    assert result.audit is not None
    assert len(frames) == 2 * len(result.audit.worst_rotations) > 0
    content = json.loads(result.report_json.read_text(encoding="utf-8"))
    assert content["audit"]["worst_rotations"][0]["structure"].startswith(str(data))
    assert "worst-rotations.extxyz" in result.report_html.read_text(encoding="utf-8")
    names = {path.name for path in (tmp_path / "report" / "plots").iterdir()}
    assert {"orbit-single.svg", "orbit-single.png", "orbit-all.png"} <= names
    assert {Path(name).stem for name in names if name.endswith("png")} == {
        Path(name).stem for name in names if name.endswith("svg")
    }
    evaluate(model, [data], tmp_path / "report", audit=["extensivity"], audit_structures=1, overwrite=True)
    assert not (tmp_path / "report" / "worst-rotations.extxyz").exists()


def test_groups_that_the_model_cannot_give_are_refused_before_any_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save(tmp_path / "test.extxyz", labelled(2))
    with pytest.raises(InputError, match="no group of audits 'conservaton'") as caught:
        evaluate(model, [data], tmp_path / "report", audit=["conservaton"])
    assert "Did you mean 'conservation'?" in caught.value.hint
    monkeypatch.setitem(POTENTIALS, "toy", ("tests.audit.broken", "EnergyOnly", ToyConfig))
    with pytest.raises(InputError, match="conservation audit needs forces") as caught:
        evaluate(model, [data], tmp_path / "report", audit=["conservation"])
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.where.file == model
    assert "--audit equivariance,extensivity" in caught.value.hint
    assert not (tmp_path / "report").exists()


def test_an_element_that_the_model_does_not_know_is_named_with_its_place(model: Path, tmp_path: Path) -> None:
    gold = Structure(np.array([6, 79]), np.array([[0.0, 0, 0], [2.6, 0, 0]]))
    data = save(tmp_path / "test.extxyz", [gold, gold])
    with pytest.raises(InputError, match=r"does not know Au; it was made for H, C, O") as caught:
        evaluate(model, [data], tmp_path / "report", audit=["equivariance"])
    assert caught.value.where.file == data
    assert caught.value.where.frame == 0
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_energies_of_another_zero_are_warned_about(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(6, energy=7.0))
    listener = Listener()
    result = evaluate(model, [data], tmp_path / "report", audit=False, report=listener)
    assert result.warnings == listener.warnings
    assert "reference_energies" in listener.warnings[0]
    assert "+7.00 eV per atom" in listener.warnings[0]
    assert result.figures["energy_shift"]["mae_without_shift"] == pytest.approx(0.0, abs=0.1)
    assert "mean error of 7.00 eV/atom is taken away" in result.report_html.read_text(encoding="utf-8")


def test_labels_and_units_are_told_and_implausible_ones_warned_about(model: Path, tmp_path: Path) -> None:
    structures = labelled(3)
    for structure in structures:
        assert structure.forces is not None
        structure.forces = structure.forces + 500.0
    data = save(tmp_path / "test.extxyz", structures)
    listener = Listener()
    result = evaluate(model, [data], tmp_path / "report", audit=False, report=listener)
    assert any("'forces' in 3 of 3 frames; unit eV/Angstrom" in message for message in listener.messages)
    assert any("test.extxyz: the forces have an RMS of" in warning for warning in result.warnings)
    assert set(result.warnings) <= set(listener.warnings)
    assert "of 3 frames; unit eV/Angstrom" in result.report_html.read_text(encoding="utf-8")


def test_a_misspelt_label_is_warned_about(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(2))
    result = evaluate(model, [data], tmp_path / "report", audit=False, labels=LabelConvention(energy="enrgy"))
    assert any("no frame has the entry 'enrgy'" in warning for warning in result.warnings)


def test_without_audit_nothing_is_said_to_be_audited(model: Path, tmp_path: Path) -> None:
    bare = [Structure(s.numbers, s.positions, s.cell, s.pbc) for s in labelled(2)]
    result = evaluate(model, [save(tmp_path / "test.extxyz", bare)], tmp_path / "report", audit=False)
    assert not any("audited" in warning for warning in result.warnings)
    assert any("nothing to compare" in warning for warning in result.warnings)


def test_labels_in_other_units(model: Path, tmp_path: Path) -> None:
    structures = labelled(3)
    for structure in structures:
        assert structure.energy is not None
        structure.energy *= 1e3
        structure.forces = None
        structure.stress = None
    data = save(tmp_path / "test.extxyz", structures)
    labels = LabelConvention(energy_unit="meV")
    result = evaluate(model, [data], tmp_path / "report", labels=labels, audit=False)
    assert result.figures["total"]["energy_per_atom"]["mae"] == pytest.approx(0.0, abs=0.1)


def test_failed_audit_has_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy(monkeypatch)
    path = save_toy(tmp_path / "model.safetensors")
    monkeypatch.setitem(POTENTIALS, "toy", ("tests.audit.broken", "NotAGradient", ToyConfig))
    data = save(tmp_path / "test.extxyz", labelled(2))
    result = evaluate(path, [data], tmp_path / "report", audit_structures=2)
    assert result.exit_code == ExitCode.AUDIT_FAILED
    assert any("Forces are the gradient" in value for name, value in result.summary() if name == "audit")


def test_precision_is_that_of_the_request(model: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "test.extxyz", labelled(2))
    result = evaluate(model, [data], tmp_path / "report", precision="float64", audit_structures=1)
    assert result.audit is not None
    assert result.audit.precision == "float64"
    assert result.figures["total"]["forces"]["max"] < 1e-3


def test_pairs_stay_together_when_structures_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy(monkeypatch)
    structures = []
    for k, structure in enumerate(labelled(8)):
        unknown = k in (0, 3, 4, 7)
        numbers = np.full(len(structure), 79) if unknown else structure.numbers
        structures.append(replace(structure, numbers=numbers, where=Where("x.xyz", k)))
    failures: list[Failure] = []
    pairs = list(labelled_and_predicted(Predictor(toy_model(), batch_atoms=15), structures, failures.append))
    assert [a.where.frame for a, _ in pairs] == [1, 2, 5, 6]
    for a, b in pairs:
        assert a.where == b.where
        assert a.energy == pytest.approx(b.energy)
        assert a.info == {key: value for key, value in b.info.items() if not key.startswith("REF_")}
    assert len(failures) == 4


def test_candidates_for_the_audit_are_bounded(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(potential: object, structures: list[Structure], **options: object) -> None:
        seen.append(len(structures))
        seen.append(max(s.where.frame or 0 for s in structures))

    monkeypatch.setattr("eqcli.audit.run.run_audit", spy)
    count = CANDIDATES + 40
    data = save(tmp_path / "test.extxyz", [labelled(1)[0]] * count)
    evaluate(model, [data], tmp_path / "report")
    assert seen[0] == CANDIDATES
    assert seen[1] >= CANDIDATES
