"""Training of docking networks, from folders of complexes to a model that places ligands."""

from __future__ import annotations

import csv
import json
import shutil
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eqcli.engine.model_file import load_model
from eqcli.engine.training_docking import DockingObjective
from eqcli.errors import InputError
from eqcli.io import read_structures
from eqcli.models.docking.base import DockingNetwork
from eqcli.tasks.train import train
from eqcli.tasks.train_docking import PARTS
from tests.docking_folder import pdbbind_folder, series_folder
from tests.listener import Listener
from tests.stopping import assert_same_end, assert_survives_kills, power_cut
from tests.tasks.train_docking_case import SEEN, TINY, changed, ligands, make_recipe, run

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["lightning.pytorch", "eqcli.engine.training_session", "eqcli.tasks.train", "tests.tasks.train_docking_case"]
)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four proteins with three ligands each."""
    return series_folder(tmp_path_factory.mktemp("data") / "series")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight proteins with a ligand each, of the years 2001 to 2008."""
    return pdbbind_folder(tmp_path_factory.mktemp("data") / "single")


@pytest.fixture(scope="module")
def trained(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    train(make_recipe(series, **SEEN), output, device="cpu")
    return output


def test_what_a_run_leaves_behind(series: Path, trained: Path) -> None:
    parts = {name: list(read_structures(trained / "data" / f"{name}.h5")) for name in PARTS}
    sizes = {name: len(ligands(part)) for name, part in parts.items()}
    assert sizes == {"train": 4, "valid": 3, "seen": 2, "test": 3}
    proteins = {name: {s.info["protein"] for s in part if s.info["role"] == "receptor"} for name, part in parts.items()}
    assert proteins["seen"] <= proteins["train"]
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not proteins[one] & proteins[other]
    names = [s.info["name"] for part in parts.values() for s in ligands(part)]
    assert sorted(names) == sorted(f"p{k}/l{m}" for k in range(4) for m in range(3))
    facts = json.loads((trained / "provenance.json").read_text())
    assert [len(entry["sha256"]) for entry in facts["data"]] == [64]
    header = load_model(trained / "model.safetensors").header
    assert header["family"] == "docking"
    figures = header["training"]["figures"]
    assert {"train", "valid", "seen", "test"} >= set(figures) >= {"valid", "seen", "test"}
    assert isinstance(load_model(trained / "model.safetensors").model, DockingNetwork)


def test_figures(trained: Path) -> None:
    figures = json.loads((trained / "result.json").read_text())["metrics"]
    for part in ("valid", "seen", "test"):
        own = figures[part]
        names = {"loss", "rmsd_median", "centroid_median", "rmsd_below_2", "rmsd_below_5", "confidence_auc"}
        terms = {f"{name}_loss" for name in ("positions", "shape", "transport", "intersection", "confidence")}
        assert names | terms <= set(own)
        assert all(np.isfinite(value) for value in own.values())
        assert own["loss"] == pytest.approx(sum(own[name] for name in terms), rel=1e-4)
        assert own["centroid_median"] <= own["rmsd_median"]
        assert 0 <= own["confidence_auc"] <= 1
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    assert len(rows) == 2
    assert {"valid_loss", "valid_rmsd_median"} <= set(rows[0])


def test_it_learns(single: Path, tmp_path: Path) -> None:
    """Two or three complexes are learnt by heart."""
    data = {"max_train": 3, "split": {"by": "protein", "valid": 1, "test": 0}, "augmentation": {"crop": 0.0}}
    weights = {"transport": 0.2, "intersection": 0.0, "confidence": 0.0}
    model = {**TINY, "channels": 24, "num_layers": 3, "confidence": None, "weights": weights}
    training = {"max_epochs": 80, "batch": {"structures": 3}, "optimizer": {"lr": 0.01}, "ema": None}
    heard = Listener()
    train(make_recipe(single, **changed(data), model=model, training=training), tmp_path / "run", report=heard,
          device="cpu")  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").open()))
    losses = [float(row["train_loss"]) for row in rows]
    assert min(losses[-10:]) < 0.2 * losses[0], losses[::15]


def test_the_same_seed_gives_the_same_weights(series: Path, tmp_path: Path) -> None:
    runs = [
        train(make_recipe(series, seed=seed), tmp_path / name, device="cpu")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    one, same, other = (load_file(result.model) for result in runs)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_stopped_and_continued(series: Path, tmp_path: Path) -> None:
    """After an error in the middle the weights are those of a run without one, though the files are gone."""
    changes: dict[str, Any] = {**SEEN, "training": {"max_epochs": 4, "batch": {"structures": 2},
                                                    "checkpoint": {"every_minutes": 1e-6}}}  # fmt: skip
    data = shutil.copytree(series, tmp_path / "data")
    whole = train(make_recipe(data, **changes), tmp_path / "whole", device="cpu")
    with power_cut(DockingObjective, "loss", 6):
        train(make_recipe(data, **changes), tmp_path / "run", device="cpu")
    shutil.rmtree(data)
    result = train(make_recipe(data, **changes), tmp_path / "run", device="cpu", resume=True)
    assert result.steps == whole.steps == 8
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_killed_and_resumed(series: Path, tmp_path: Path) -> None:
    """While the data are prepared and while training; the weights are those of a run that was not."""
    sections: dict[str, Any] = {"training": {"max_epochs": 12, "batch": {"structures": 2}, "ema": 0.95,
                                             "checkpoint": {"every_minutes": 1e-6}}}  # fmt: skip

    def start(output: Path) -> BaseProcess:
        process = PROCESSES.Process(target=run, args=(series, output, sections))
        process.start()
        return process

    assert_survives_kills(start, tmp_path, "data/train.h5", 7)


def test_folders_may_move_but_not_change(series: Path, trained: Path, tmp_path: Path) -> None:
    output = shutil.copytree(trained, tmp_path / "run")
    moved = shutil.copytree(series, tmp_path / "moved")
    before = (output / "model.safetensors").read_bytes()
    train(make_recipe(moved, **SEEN), output, device="cpu", resume=True)
    assert (output / "model.safetensors").read_bytes() == before
    other = shutil.copytree(series, tmp_path / "other")
    with (other / "p2" / "ligands.sdf").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"data\.train: .*moved.* -> .*other"):
        train(make_recipe(other, **SEEN), output, device="cpu", resume=True)
    renamed = shutil.copytree(series, tmp_path / "renamed")
    (renamed / "p2").rename(renamed / "p7")
    with pytest.raises(InputError, match=r"data\.train"):
        train(make_recipe(renamed, **SEEN), output, device="cpu", resume=True)


def test_figures_of_held_out_complexes_are_the_same_each_time(trained: Path) -> None:
    from eqcli.data.complex_set import complex_set
    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_docking import TrainableDocking

    recipe = make_recipe("x")
    parts = {
        name: complex_set(list(read_structures(trained / "data" / f"{name}.h5")), neighbours=6, reach=30.0)
        for name in ("train", "valid")
    }
    made = TrainableDocking(recipe, PreparedSets(parts, {}, []), {})
    model = made.new_model()
    figures = [made.objective.measure(model, made.batches("valid", [[0, 1], [2]], 0)) for _ in range(2)]
    assert figures[0] == figures[1]
    assert made.lengths("train").tolist() == parts["train"].counts.tolist()
    for unit in ("structures", "atoms", "edges"):
        budget, sizes = made.budget("train", make_recipe("x", training={"batch": {unit: 4000}}).training.batch)
        assert budget.unit == unit
        assert len(sizes) == len(parts["train"])
