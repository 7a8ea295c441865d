"""The steps of pipelines that train, dock and measure docked poses, as a chain of the real ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup, ExitCode
from eqcli.recipe.load import load_pipeline
from eqcli.recipe.plan import plan
from eqcli.tasks.pipeline import run_pipeline
from tests.docking_folder import LIGANDS, protein, series_folder

RECIPE = """
task: pipeline
name: p
steps:
  - id: train
    task: train
    with:
      recipe:
        family: docking
        name: tiny
        data: {train: series, split: {by: protein, valid: 0.25, test: 0.25}, conformers: 1}
        model:
          name: equibind
          channels: 8
          num_layers: 1
          key_points: 3
          neighbours: 4
          confidence: {channels: 4, num_layers: 1, decoys: 1, radial: 4}
        training: {max_epochs: 1, batch: {structures: 4}}
  - id: dock
    task: dock
    with: {model: "${train.model}", receptor: rec.pdb, ligands: lib.smi, pocket: "0,0,10:8", effort: 0.05, poses: 2}
  - id: evaluate
    task: evaluate-docking
    with:
      model: "${train.model}"
      complexes: series
      pocket: reference
      effort: 0.05
      poses: 1
      posebusters: false
      pages: false
      limit: 1
      bootstrap: 10
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pipeline")
    series_folder(place / "series")
    (place / "rec.pdb").write_text(protein(1), encoding="utf-8")
    (place / "lib.smi").write_text("\n".join(LIGANDS[:2]) + "\n", encoding="utf-8")
    (place / "p.yaml").write_text(RECIPE, encoding="utf-8")
    return place


def test_the_steps_hand_on_what_they_make_and_run_once(folder: Path) -> None:
    recipe = load_pipeline(folder / "p.yaml", [])
    result = run_pipeline(recipe.name, plan(recipe), folder / "out", device="cpu")
    assert result.exit_code == ExitCode.OK, result.as_dict()
    with (folder / "out" / "dock" / "ranked.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2
    figures = json.loads((folder / "out" / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    assert figures["counts"]["complexes"] == 1
    before = (folder / "out" / "dock" / "results.csv").stat().st_mtime_ns
    run_pipeline(recipe.name, plan(recipe), folder / "out", device="cpu")
    assert (folder / "out" / "dock" / "results.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("table: lib.smi, receptor: rec.pdb, ligands: lib.smi", "either a receptor"),
        ("receptor: rec.pdb", "belong together"),
        ("receptor: rec.pdb, ligands: lib.smi, pocket: 'A/1', reference_ligand: lib.smi", "give one"),
        ("receptor: rec.pdb, ligands: lib.smi, network_only: true", "needs a model"),
        ("receptor: rec.pdb, ligand: lib.smi", "ligands"),
    ],
)
def test_a_dock_step_that_contradicts_itself_is_refused(folder: Path, changed: str, message: str) -> None:
    text = f"task: pipeline\nname: q\nsteps:\n  - id: dock\n    task: dock\n    with: {{{changed}}}\n"
    (folder / "q.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ErrorGroup) as raised:
        load_pipeline(folder / "q.yaml", [])
    assert message in str([(e.message, e.hint) for e in raised.value.errors])
