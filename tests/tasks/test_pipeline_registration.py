"""The step of pipelines that registers clouds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import ErrorGroup, ExitCode
from eqcli.io.point_cloud import read_cloud, write_cloud
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.pipeline import run_pipeline
from tests.tasks.register_case import cloud, use_engine, write_pair, write_scans

RECIPE = """
task: pipeline
name: p
steps:
  - id: lay
    task: register
    with: {source: source.ply, target: target.ply, output: moved.pcd, voxel: 0.2, seed: 3}
  - id: back
    task: register
    with: {source: "${lay.output}", target: source.ply}
  - id: frame
    task: register
    with: {pairs: pairs.csv, pose_graph: true, reference: scan0, merged: all.ply, workers: 1}
"""


def test_the_steps_hand_on_what_they_make_and_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use_engine(monkeypatch)
    *_, motion = write_pair(tmp_path)
    write_scans(tmp_path, 3)
    lines = ["name,source,target", *(f"{a}-{b},scan{a}.ply,scan{b}.ply" for a, b in ((1, 0), (2, 1), (2, 0)))]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "p.yaml").write_text(RECIPE)
    recipe = load_pipeline(tmp_path / "p.yaml", [])
    out = tmp_path / "out"
    result = run_pipeline(recipe.name, plan(recipe), out, device="cpu")
    assert result.exit_code == ExitCode.OK, result.as_dict()
    assert (engine.calls[0][0].voxel, engine.calls[0][0].seed) == (0.2, 3)
    np.testing.assert_allclose(
        read_cloud(out / "lay" / "moved.pcd").points, read_cloud(tmp_path / "target.ply").points, atol=1e-4
    )
    np.testing.assert_allclose(np.loadtxt(out / "back" / "transform.txt"), np.linalg.inv(motion), atol=1e-4)
    assert {"results.csv", "poses.json", "all.ply"} <= {path.name for path in (out / "frame").iterdir()}
    calls = len(engine.calls)
    run_pipeline(recipe.name, plan(recipe), out, device="cpu")
    assert len(engine.calls) == calls


def test_a_step_without_a_reliable_alignment_hands_nothing_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(monkeypatch)
    write_pair(tmp_path)
    write_cloud(cloud(seed=9), tmp_path / "target.ply")
    (tmp_path / "p.yaml").write_text(RECIPE.split("  - id: frame")[0])
    recipe = load_pipeline(tmp_path / "p.yaml", [])
    result = run_pipeline(recipe.name, plan(recipe), tmp_path / "out", device="cpu")
    assert result.exit_code == ExitCode.PARTIAL
    assert [step.status for step in result.steps] == ["failed", "not run"]
    assert not (tmp_path / "out" / "lay" / "moved.pcd").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("source: source.ply, target: target.ply, pairs: pairs.csv", "either a source"),
        ("source: source.ply", "belong together"),
        ("source: source.ply, target: target.ply, pose_graph: true", "needs pairs"),
        ("pairs: pairs.csv, merged: all.ply", "set pose_graph"),
        ("source: source.ply, target: target.ply, method: pare-net", "needs a model"),
        ("source: source.ply, target: target.ply, refinement: gicp", "refine"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused(tmp_path: Path, changed: str, message: str) -> None:
    write_pair(tmp_path)
    (tmp_path / "pairs.csv").write_text("source,target\n")
    text = f"task: pipeline\nname: q\nsteps:\n  - id: lay\n    task: register\n    with: {{{changed}}}\n"
    (tmp_path / "q.yaml").write_text(text)
    with pytest.raises(ErrorGroup) as raised:
        load_pipeline(tmp_path / "q.yaml", [])
    assert message in str([(error.message, error.hint) for error in raised.value.errors])
