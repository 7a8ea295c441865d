"""`eqcli evaluate` on pairs of clouds: which options belong, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from eqcli.cli.app import app
from tests.tasks.evaluate_registration_case import fails, method, off_by, write_pair


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A table of two pairs, one of them without a truth."""
    lines = ["name,source,target,transform"]
    for name, seed, truth in (("first", 1, True), ("second", 2, False)):
        pair = write_pair(tmp_path, name, seed, truth=truth)
        if pair.truth is not None:
            np.savetxt(tmp_path / f"{name}.txt", pair.truth)
        lines.append(f"{name},{pair.source.name},{pair.target.name},{f'{name}.txt' if truth else ''}")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which methods were asked for; one that is right and one that fails answer."""
    asked: dict[str, Any] = {}

    def made(loaded: Any, names: Any, warnings: list[str]) -> list[Any]:
        asked.update(loaded=loaded, names=names)
        known = {"default": method("right", off_by(0.0)), "fpfh-ransac": method("broken", fails)}
        return [known[name] for name in names or ("default",)]

    monkeypatch.setattr("eqcli.tasks.evaluate_registration_methods.registration_methods", made)
    return asked


def _run(*words: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def test_the_suite_takes_a_table_and_no_model(pairs: Path, tmp_path: Path, methods: dict[str, Any]) -> None:
    out = tmp_path / "out"
    options = ("--lengths", "m", "--rule", "pare", "--no-pictures", "--bootstrap", "10", "--turned", "--seed", "3")
    done = _run("--suite", "registration", pairs, *options, "--json", "-o", out)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["counts"]["pairs"], found["counts"]["without_truth"], found["rule"]) == (1, 1, "pare")
    assert found["rows"][0]["figures"]["pare"]["value"] == 1.0
    assert (found["settings"]["seed"], found["settings"]["sources"]) == (3, "turned by random rotations")
    assert methods == {"loaded": None, "names": None}
    assert {path.name for path in out.iterdir()} >= {"index.html", "metrics.json", "pairs.csv"}


def test_methods_are_named_with_commas_and_a_failing_one_makes_the_exit_code_3(
    pairs: Path, tmp_path: Path, methods: dict[str, Any]
) -> None:
    words = ("--methods", "default,fpfh-ransac", "--no-pages", "--limit", "1", "-o", tmp_path / "out")
    done = _run("--suite", "registration", pairs, *words)
    assert done.exit_code == 3, done.output
    assert methods["names"] == ["default", "fpfh-ransac"]
    assert "it broke" in done.output
    assert "recall distance" in done.output
    assert "8 voxels" in done.output
    assert len(list((tmp_path / "out" / "pictures").glob("*.png"))) == 1
    assert not list((tmp_path / "out" / "pictures").glob("*.html"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--audit", "equivariance"), "--audit"),
        (("--vina",), "--vina"),
        (("--seeds", "3"), "--seeds"),
        (("--dataset", "x"), "--dataset"),
        (("--energy-unit", "kcal/mol"), "options of labels"),
        (("--methods", "icp"), "unknown method 'icp'"),
        (("--methods", "pare-ransac"), "needs a model"),
        (("--methods", "default", "--no-baselines"), "exclude each other"),
    ],
)
def test_what_does_not_belong_is_refused(pairs: Path, words: tuple[str, ...], named: str) -> None:
    done = _run("--suite", "registration", pairs, *words)
    assert done.exit_code == 2
    assert named in done.output


def test_options_of_registration_are_refused_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"no model")
    done = _run(tmp_path / "m.safetensors", "--turned")
    assert done.exit_code == 2
    assert "--turned: for registration" in done.output


def test_without_pairs_there_is_nothing_to_evaluate() -> None:
    done = _run("--suite", "registration")
    assert done.exit_code == 2
    assert "no pairs of clouds were given" in done.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that nobody trained."""
    import torch

    from eqcli.engine.model_file import save_model
    from eqcli.models.pointcloud.build import make_registration_network
    from eqcli.models.pointcloud.configs.pare_net import PareNetConfig

    torch.manual_seed(0)
    config = PareNetConfig.model_validate(
        {"name": "pare-net", "channels": [8, 8, 16], "blocks": [1, 1, 1], "fine_level": 0, "neighbours": 12,
         "features": 16, "vectors": 8, "transformer": {"channels": 16, "heads": 2, "blocks": 1},
         "superpoint_matches": 16}
    )  # fmt: skip
    path = tmp_path_factory.mktemp("model") / "pare.safetensors"
    save_model(path, make_registration_network(config), training={}, provenance={})
    return path


def test_a_model_is_evaluated_with_its_own_solvers(model: Path, pairs: Path, tmp_path: Path) -> None:
    words = ("--no-baselines", "--limit", "1", "--no-pictures", "--hypotheses", "--eval-voxel", "0.1", "--json")
    done = _run(model, pairs, *words, "--methods", "pare-one-match,pare-ransac")
    assert done.exit_code == 2
    done = _run(model, pairs, *words[1:], "--methods", "pare-one-match,pare-ransac", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    rows = [(row["method"], row["refinement"]) for row in found["rows"]]
    names = ("PARE-Net + one-match", "PARE-Net + RANSAC")
    assert rows == [(name, refinement) for name in names for refinement in ("none", "gicp")]
    curves = [curve["method"] for curve in found["curves"]["hypotheses"]]
    assert curves == [*names, "PARE-Net + RANSAC, edges compared first"]
    assert found["settings"]["network"] is True
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["provenance"]["model"]["sha256"]
    # Every match of the network is one hypothesis.
    ratio = found["rows"][0]["figures"]["hypotheses_p50"]["value"]
    assert ratio > 0


def test_the_task_knows_the_family(model: Path, pairs: Path, tmp_path: Path, methods: dict[str, Any]) -> None:
    from eqcli.errors import InputError
    from eqcli.tasks.evaluate import evaluate
    from eqcli.tasks.evaluate_registration_result import RegistrationEvaluation

    result = evaluate(model, [pairs], tmp_path / "out", audit=False)
    assert isinstance(result, RegistrationEvaluation)
    assert methods["loaded"].header["family"] == "pointcloud"
    assert result.counts["pairs"] == 1
    with pytest.raises(InputError, match="no audit"):
        evaluate(model, [pairs], tmp_path / "other", audit=["equivariance"])
