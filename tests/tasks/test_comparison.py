"""The comparison of models: what evaluations say is carried over, costs are measured, what is missing is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eqcli.errors import ExitCode, InputError
from eqcli.io import write_structures
from eqcli.metrics.published import PUBLISHED
from eqcli.tasks.comparison import compare, learning_curve
from eqcli.tasks.evaluate import evaluate
from tests.tasks.test_evaluate import labelled
from tests.toy_model import register_toy, save_toy


@pytest.fixture
def evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two models on a named data set, and one of them on data without a name."""
    register_toy(monkeypatch)
    data = tmp_path / "test.extxyz"
    write_structures(data, labelled(6, energy=0.05, force=0.2))
    folders = []
    for name, dataset in (("a", "rmd17-ethanol"), ("b", "rmd17-ethanol"), ("c", None)):
        model = save_toy(tmp_path / name / "model.safetensors")
        folder = tmp_path / f"evaluation-{name}"
        evaluate(model, [data], folder, dataset=dataset, audit=["equivariance"] if name == "a" else False)
        folders.append(folder)
    return folders


def test_errors_are_carried_over_and_costs_measured(evaluations: list[Path], tmp_path: Path) -> None:
    result = compare([evaluations[0], evaluations[1] / "report.json", evaluations[2]], tmp_path / "comparison")
    assert result.exit_code == ExitCode.OK
    assert result.datasets == ["rmd17-ethanol", str(tmp_path / "test.extxyz")]
    original = json.loads((evaluations[0] / "report.json").read_text())["figures"]["total"]
    for entry in result.entries:
        assert entry.error("forces", "mae") == pytest.approx(original["forces"]["mae"])
        assert entry.error("energy_per_atom", "mae") == pytest.approx(50.0, rel=1e-3)
        assert entry.train_ms > 0
        assert entry.evaluate_ms > 0
        assert entry.peak_mb > 0
        assert entry.batch_atoms > 5
    audited, plain, _ = result.entries
    assert audited.symmetry_error < 1e-10
    assert plain.symmetry_error is None
    content = json.loads((tmp_path / "comparison" / "report.json").read_text())
    assert set(content["published"]) == {"rmd17-ethanol"}
    page = (tmp_path / "comparison" / "index.html").read_text()
    assert "Batatia et al." in page
    assert (tmp_path / "comparison" / "table.csv").read_text().count("\n") == 4


def test_a_model_that_changed_is_not_measured(evaluations: list[Path], tmp_path: Path) -> None:
    with (tmp_path / "a" / "model.safetensors").open("ab") as file:
        file.write(b" ")
    result = compare(evaluations, tmp_path / "comparison")
    assert result.exit_code == ExitCode.PARTIAL
    assert "has changed" in result.failures[0].reason
    assert result.entries[0].train_ms is None
    assert result.entries[0].error("forces", "mae") is not None
    assert result.entries[1].train_ms > 0


def test_without_models_errors_alone_are_compared(evaluations: list[Path], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "a")
    result = compare(evaluations, tmp_path / "comparison", measure=False)
    assert result.exit_code == ExitCode.OK
    assert all(entry.train_ms is None for entry in result.entries)


@pytest.mark.parametrize("text", ["no json", "[]", '{"figures": {}}'])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=r"JSON|no report of an evaluation"):
        compare([tmp_path / "report.json"], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


def test_a_learning_curve_is_that_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,valid_forces_mae\n1,10,0.5\n2,20,0.25\n3,30,\n")
    assert learning_curve(path) == [(10.0, 500.0), (20.0, 250.0)]
    assert learning_curve(tmp_path / "none.csv") == []


def test_published_numbers_have_a_source() -> None:
    for benchmark in PUBLISHED.values():
        assert benchmark.measure in ("mae", "rmse")
        assert all(row.source and row.forces > 0 for row in benchmark.rows)
