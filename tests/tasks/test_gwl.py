"""The expressivity suite as a task."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from eqcli.audit.gwl_pairs import pairs
from eqcli.engine.model_file import make_potential, save_model
from eqcli.errors import ExitCode, InputError
from eqcli.models.potentials.base import Capabilities
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.mace import MACE
from eqcli.tasks.gwl import gwl
from tests.toy_model import register_toy, save_toy

SMALL = MACEConfig(channels=2, radial_MLP=(4,), max_ell=2, num_interactions=1)


def save_small(path: Path) -> Path:
    torch.manual_seed(0)
    save_model(path, make_potential(SMALL, [1, 8]), training={}, provenance={})
    return path


def test_writes_page_table_and_data(tmp_path: Path) -> None:
    model = save_small(tmp_path / "small.safetensors")
    result = gwl(tmp_path / "report", [model], seeds=3)
    assert result.exit_code == ExitCode.OK
    assert "small" in result.report_html.read_text("utf-8")
    content = json.loads(result.report_json.read_text("utf-8"))
    tests = content["architectures"]["small"]
    assert [test["key"] for test in tests] == [pair.key for pair in pairs()]
    assert {test["key"] for test in tests if test["passed"]} == {"star-2", "body-3", "body-4"}
    rows = list(csv.DictReader((tmp_path / "report" / "table.csv").open()))
    assert {row["test"]: row["small"] for row in rows}["2-fold star"] == "3/3"


def test_disagreement_with_theory_fails_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MACE, "capabilities", lambda self: Capabilities(9, 9, 9, 9))
    result = gwl(tmp_path / "report", [save_small(tmp_path / "m.safetensors")], seeds=1)
    assert result.exit_code == ExitCode.AUDIT_FAILED
    assert "m: 2-chain" in result.disagreements


def test_an_architecture_without_layers_is_a_failure_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_toy(monkeypatch)
    models = [save_toy(tmp_path / "toy.safetensors"), save_small(tmp_path / "small.safetensors")]
    result = gwl(tmp_path / "report", models, seeds=1)
    assert list(result.architectures) == ["small"]
    assert [failure.item for failure in result.failures] == ["toy"]
    assert result.exit_code == ExitCode.PARTIAL


def test_does_not_write_over_a_report(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="exists already"):
        gwl(tmp_path / "report")


def test_models_whose_files_have_one_name_go_by_their_paths(tmp_path: Path) -> None:
    models = [save_small(tmp_path / name) for name in ("a/model.safetensors", "b/model.safetensors", "c.safetensors")]
    result = gwl(tmp_path / "report", models, seeds=1)
    assert list(result.architectures) == [str(models[0]), str(models[1]), "c"]
