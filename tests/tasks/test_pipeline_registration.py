"""The steps of pipelines that make pairs of clouds, with the real task."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ErrorGroup, ExitCode
from eqcli.io.point_cloud import PointCloud, write_cloud
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.generate_pairs import GeneratedPairs
from eqcli.tasks.pipeline import run_pipeline

RECIPE = """
task: pipeline
name: p
steps:
  - id: whole
    task: generate-pairs
    with: {n: 1, overlap: [0.3, 0.6], voxels: [900, 1000], kinds: {scene: 0, outdoor: 0}, voxel: 0.05, seed: 4}
  - id: parts
    task: generate-pairs
    with: {n: 1, overlap: [0.3, 0.6], shapes: scan.ply, views: {sight: 0}, ending: .npy}
  - id: frame
    task: register
    with: {pairs: "${parts.table}", voxel: 0.2, method: icp}
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_pairs_are_made_once_and_handed_on(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(RECIPE, encoding="utf-8")
    write_cloud(PointCloud(np.random.default_rng(0).uniform(-1, 1, (9000, 3)) * [1, 1, 0.01]), tmp_path / "scan.ply")
    recipe = load_pipeline(tmp_path / "p.yaml", [])
    result = run_pipeline(recipe.name, plan(recipe), tmp_path / "out", device="cpu")
    assert result.exit_code in (ExitCode.OK, ExitCode.PARTIAL), result.as_dict()
    (first,) = rows(tmp_path / "out/whole/pairs.csv")
    assert float(first["voxel"]) == 0.05
    assert first["scene"].startswith("object/")
    (second,) = rows(tmp_path / "out/parts/pairs.csv")
    assert second["scene"] == "file:scan/crop"
    assert second["source"].endswith(".npy")
    assert len(rows(tmp_path / "out/frame/results.csv")) == 1
    settings = json.loads((tmp_path / "out/whole/pairs.json").read_text())["settings"]
    assert (settings["seed"], settings["kinds"]["scene"]) == (4, 0.0)
    again = run_pipeline(recipe.name, plan(recipe), tmp_path / "out", device="cpu")
    assert "3 unchanged" in str(again.summary())


def test_defaults_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.tasks import generate_pairs as module

    asked = []

    def called(request: module.PairGeneration, report: object) -> GeneratedPairs:
        asked.append(request)
        return GeneratedPairs(request.output, (0.5,), ("object/crop",), [])

    monkeypatch.setattr(module, "generate_pairs", called)
    (tmp_path / "p.yaml").write_text("task: pipeline\nname: p\nsteps:\n  - {id: a, task: generate-pairs}\n")
    recipe = load_pipeline(tmp_path / "p.yaml", [])
    run_pipeline(recipe.name, plan(recipe), tmp_path / "out", device="cpu")
    assert asked == [module.PairGeneration(tmp_path / "out/a", overwrite=True)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("overlap: [0.3, 0.1]", "overlap"),
        ("overlap: [0.3, 1.0]", "overlap"),
        ("noise: [-1, 0]", "noise"),
        ("kinds: {file: 1}", "file"),
        ("shapes: s.ply, voxel: 0.1", "made shapes"),
        ("ending: .las", "ending"),
        ("kinds: {object: 0, scene: 0, outdoor: 0}", "above 0"),
        ("views: {crop: 0, sight: 0}", "above 0"),
    ],
)
def test_a_step_that_cannot_be_is_refused(tmp_path: Path, changed: str, message: str) -> None:
    (tmp_path / "s.ply").touch()
    text = f"task: pipeline\nname: q\nsteps:\n  - id: a\n    task: generate-pairs\n    with: {{{changed}}}\n"
    (tmp_path / "q.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ErrorGroup) as raised:
        load_pipeline(tmp_path / "q.yaml", [])
    assert message in str([(str(e), e.hint) for e in raised.value.errors])
