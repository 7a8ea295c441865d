"""Training of networks of registration, from made pairs, tables and folders to a model file."""

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
from pydantic import ValidationError
from safetensors.torch import load_file

from eqcli.engine.model_file import load_model
from eqcli.engine.training_pointcloud import RegistrationObjective
from eqcli.errors import InputError
from eqcli.files import sha256
from eqcli.io.point_cloud import read_cloud, write_cloud
from eqcli.models.pointcloud.base import RegistrationNetwork
from eqcli.tasks.generate_pairs import PairGeneration, generate_pairs
from eqcli.tasks.train import train
from eqcli.tasks.train_pointcloud import check_pairs, make_pairs
from tests.listener import Listener
from tests.stopping import assert_same_end, assert_survives_kills, power_cut
from tests.tasks.train_pointcloud_case import MADE, TINY, make_recipe, run

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["lightning.pytorch", "eqcli.engine.training_session", "eqcli.tasks.train", "tests.tasks.train_pointcloud_case"]
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four pairs, as the program writes them."""
    folder = tmp_path_factory.mktemp("data") / "pairs"
    generate_pairs(
        PairGeneration(folder, 4, overlap=(0.4, 0.8), kinds={"object": 1.0}, voxels=(800, 1000), outliers=0.0)
    )
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    train(make_recipe(), output, device="cpu")
    return output


def of_files(pairs: Path, **more: Any) -> dict[str, Any]:
    return {"train": str(pairs), "valid": str(pairs), **more}


def test_what_a_run_leaves_behind(trained: Path) -> None:
    facts = json.loads((trained / "provenance.json").read_text())
    assert facts["data"] == []
    loaded = load_model(trained / "model.safetensors")
    assert isinstance(loaded.model, RegistrationNetwork)
    assert loaded.header["family"] == "pointcloud"
    assert set(loaded.header["training"]["figures"]) >= {"valid"}
    figures = json.loads((trained / "result.json").read_text())["metrics"]["valid"]
    terms = [name for name in figures if name.endswith("_loss")]
    assert {"coarse_loss", "fine_loss", "rotation_loss"} <= set(terms)
    assert {"loss", "matches", "inlier_ratio", "solved"} <= set(figures)
    assert all(np.isfinite(value) for value in figures.values())
    assert 0 <= figures["inlier_ratio"] <= 1
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    assert len(rows) == 2
    assert {"valid_loss", "valid_solved"} <= set(rows[0])


def test_the_same_seed_gives_the_same_weights(trained: Path, tmp_path: Path) -> None:
    again, other = (train(make_recipe(seed=k), tmp_path / f"{k}", device="cpu").model for k in (0, 1))
    one, same, different = (load_file(path) for path in (trained / "model.safetensors", again, other))
    assert all(one[name].numpy().tobytes() == same[name].numpy().tobytes() for name in one)
    assert any(not torch.equal(one[name], different[name]) for name in one)
    assert (tmp_path / "0/metrics.csv").read_bytes() == (trained / "metrics.csv").read_bytes()


def test_stopped_and_continued(tmp_path: Path, pairs: Path) -> None:
    """In the middle of an epoch, with pairs of files and made ones; the folder of pairs moves meanwhile."""
    data = shutil.copytree(pairs, tmp_path / "data")
    training = {"max_epochs": 3, "batch": {"structures": 2}, "checkpoint": {"every_minutes": 1e-6}}
    whole = train(make_recipe(of_files(data, generated=MADE), training=training), tmp_path / "whole", device="cpu")
    with power_cut(RegistrationObjective, "loss", 7):
        train(make_recipe(of_files(data, generated=MADE), training=training), tmp_path / "run", device="cpu")
    moved = data.rename(tmp_path / "moved")
    result = train(
        make_recipe(of_files(moved, generated=MADE), training=training), tmp_path / "run", device="cpu", resume=True
    )
    assert result.steps == whole.steps == 12
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_killed_and_resumed(tmp_path: Path) -> None:
    """While pairs are looked at and while training; the weights are those of a run that was not."""
    changes: dict[str, Any] = {"training": {"max_epochs": 5, "batch": {"structures": 2},
                                            "checkpoint": {"every_minutes": 1e-6}}}  # fmt: skip

    def start(output: Path) -> BaseProcess:
        process = PROCESSES.Process(target=run, args=(None, output, changes))
        process.start()
        return process

    assert_survives_kills(start, tmp_path, "recipe.yaml", 3)


def test_it_learns(pairs: Path, tmp_path: Path) -> None:
    """One pair by heart."""
    lines = (pairs / "pairs.csv").read_text().splitlines(keepends=True)
    shutil.copytree(pairs, tmp_path / "one")
    (tmp_path / "one/pairs.csv").write_text("".join(lines[:2]))
    training = {"max_epochs": 30, "batch": {"structures": 1}, "optimizer": {"lr": 0.02}, "ema": None}
    model = {**TINY, "channels": [8, 8, 16], "features": 16}
    train(make_recipe(of_files(tmp_path / "one"), model=model, training=training), tmp_path / "run", device="cpu")
    losses = [float(row["train_loss"]) for row in csv.DictReader((tmp_path / "run/metrics.csv").open())]
    assert min(losses[-5:]) < 0.8 * losses[0], losses[::6]


@pytest.mark.parametrize("what", ["cloud", "motion", "table"])
def test_data_may_not_change(pairs: Path, tmp_path: Path, what: str) -> None:
    """Neither a table nor what it lists."""
    data = shutil.copytree(pairs, tmp_path / "data")
    recipe = make_recipe({"train": str(data / "pairs.csv"), "valid": str(pairs)}, training={"max_epochs": 1})
    train(recipe, tmp_path / "run", device="cpu")
    train(recipe, tmp_path / "run", device="cpu", resume=True)
    if what == "cloud":
        path = data / "clouds/2_source.ply"
        write_cloud(read_cloud(path).taken(slice(0, -5)), path)
    elif what == "motion":
        path = data / "motions/2_transform.txt"
        motion = np.loadtxt(path)
        motion[0, 3] += 1e-9
        np.savetxt(path, motion, fmt="%.17g")
    else:
        with (data / "pairs.csv").open("a") as file:
            file.write("more,clouds/1_source.ply,clouds/1_target.ply,,,,,\n")
    with pytest.raises(InputError, match="the data changed"):
        train(recipe, tmp_path / "run", device="cpu", resume=True)


def test_files_of_made_pairs_may_move_but_not_change(pairs: Path, tmp_path: Path) -> None:
    one, other = (shutil.copytree(pairs / "clouds", tmp_path / name) for name in ("one", "other"))
    with (other / "1_source.ply").open("ab") as file:
        file.write(b"\n")
    kinds = {"object": 0.5, "file": 0.5, "scene": 0.0, "outdoor": 0.0}

    def recipe(folder: Path) -> Any:
        return make_recipe({"generated": {**MADE, "kinds": kinds, "files": str(folder)}}, training={"max_epochs": 1})

    train(recipe(one), tmp_path / "run", device="cpu")
    moved = one.rename(tmp_path / "moved")
    train(recipe(moved), tmp_path / "run", device="cpu", resume=True)
    with pytest.raises(InputError, match=r"data\.generated\.files"):
        train(recipe(other), tmp_path / "run", device="cpu", resume=True)


def test_pairs_of_a_table(pairs: Path, tmp_path: Path) -> None:
    """Those without a known motion, and those that cannot be read, are left out and named."""
    lines = (pairs / "pairs.csv").read_text().splitlines()
    shutil.copytree(pairs, tmp_path / "data")
    lines += ["bare,clouds/1_source.ply,clouds/1_target.ply,,,,,", "lost,clouds/9_source.ply,clouds/1_target.ply,,,,,"]
    table = tmp_path / "data/pairs.csv"
    table.write_text("\n".join(lines) + "\n")
    recipe = make_recipe({"train": str(table), "generated": {**MADE, "pairs": 3}})
    heard = Listener()
    found = check_pairs(recipe)
    assert found.figures == {"pairs": {"train": 7, "valid": 2}, "left_out": 2}
    assert dict(found.facts)["train"].startswith("4 of files and 3 generated")
    train(recipe, tmp_path / "run", device="cpu", report=heard)
    (said,) = [text for text in heard.warnings if "left out" in text]
    assert "bare" in said
    (noted,) = json.loads((tmp_path / "run/provenance.json").read_text())["data"]
    assert noted["sha256"] == sha256(table)


def test_the_voxel_of_a_table_holds(pairs: Path, tmp_path: Path) -> None:
    from eqcli.data.pair_batches import PyramidSettings

    def points(voxel: float | None) -> int:
        recipe = make_recipe(of_files(pairs, voxel=voxel))
        prepared, failures = make_pairs(recipe, [])
        assert not failures
        batch = prepared.parts["train"].batch(0, 0, PyramidSettings.of(recipe.model))
        return len(batch.source.levels[0].points)

    assert points(None) == points(0.025) > 2 * points(0.06)


def test_made_pairs_are_new_in_every_epoch_and_those_of_the_validation_are_not() -> None:
    from eqcli.data.pair_batches import PyramidSettings
    from eqcli.engine.training_pointcloud import TrainableRegistration

    recipe = make_recipe()
    settings = PyramidSettings.of(recipe.model)
    (one, _), (two, _) = (make_pairs(recipe, []) for _ in range(2))

    def points(part: Any, row: int, epoch: int) -> torch.Tensor:
        return part.batch(row, epoch, settings).source.levels[0].points

    first = [points(one.parts["train"], row, epoch) for row, epoch in ((0, 0), (1, 0), (0, 1))]
    again = [points(two.parts["train"], row, epoch) for row, epoch in ((0, 1), (1, 0), (0, 0))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(first[0], other) for other in first[1:])
    assert not torch.equal(points(one.parts["valid"], 0, 0), first[0])
    made = TrainableRegistration(recipe, one)
    model = made.new_model()
    figures = [made.objective.measure(model, made.batches("valid", [[0, 1]], 0)) for _ in range(2)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"generated": {**MADE, "valid": 0}}, "no validation pairs"),
        ({"train": "pairs"}, "no validation pairs"),
        ({"valid": "pairs"}, "give `train`"),
        ({"generated": {**MADE, "overlap": [0.5, 0.2]}}, "overlap"),
        ({"generated": {**MADE, "valid_overlap": [0.2, 0.2]}}, "valid_overlap"),
        ({"generated": {**MADE, "kinds": {"object": 0, "scene": 0, "outdoor": 0}}}, "above 0"),
        ({"generated": {**MADE, "views": {"crop": 0, "sight": 0}}}, "above 0"),
        ({"generated": {**MADE, "kinds": {"file": 1}}}, "names none"),
        ({"generated": {**MADE, "files": "scans"}}, "kinds.file is 0"),
        (
            {"generated": {**MADE, "files": "scans", "kinds": {"object": 0, "scene": 0, "outdoor": 0, "file": 1}}},
            "valid_files",
        ),
    ],
)
def test_recipes_that_cannot_be(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make_recipe(data)


def test_nothing_is_left_behind_where_no_pairs_are(pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs / "clouds", tmp_path / "clouds")
    table = tmp_path / "bare.csv"
    table.write_text("name,source,target\nbare,clouds/1_source.ply,clouds/1_target.ply\n")
    for data, part in (((table, pairs), "train"), ((pairs, table), "valid")):
        recipe = make_recipe({"train": str(data[0]), "valid": str(data[1])})
        with pytest.raises(InputError, match=rf"no {part} pairs[^\n]*\n.*bare: its true motion is not known"):
            train(recipe, tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()
    table.write_text("source\nx\n")
    with pytest.raises(InputError, match="no column 'target'"):
        train(make_recipe({"train": str(table), "valid": str(pairs)}), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
