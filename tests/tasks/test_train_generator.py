"""Training of generators of crystals, from files of structures to a model that generates."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eqcli.data.crystals import crystal_set
from eqcli.engine.model_file import load_model
from eqcli.errors import InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.models.generators.base import CrystalGenerator
from eqcli.tasks.generate import generate
from eqcli.tasks.train import train
from eqcli.tasks.train_generator import check_crystals
from tests.generator_case import NETWORKS
from tests.killing import kill_when, newest_step
from tests.listener import Listener
from tests.stopping import assert_same_end
from tests.tasks.train_generator_case import crystals, make_recipe, run, write

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["lightning.pytorch", "eqcli.engine.training_session", "eqcli.tasks.train", "tests.tasks.train_generator_case"]
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "crystals.extxyz", crystals(60))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run long enough to learn what cells are like."""
    output = tmp_path_factory.mktemp("runs") / "run"
    train(make_recipe(data, training={"max_epochs": 100, "batch": {"structures": 14}}), output, device="cpu")
    return output


def test_what_a_run_leaves_behind(data: Path, trained: Path) -> None:
    parts = {name: list(read_structures(trained / "data" / f"{name}.h5")) for name in ("train", "valid", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 42, "valid": 12, "test": 6}
    given = {round(s.volume, 6) for s in read_structures(data)}
    drawn = [round(s.volume, 6) for part in parts.values() for s in part]
    assert len(set(drawn)) == 60
    assert set(drawn) == given
    facts = json.loads((trained / "provenance.json").read_text())
    assert len(facts["data"][0]["sha256"]) == 64
    header = load_model(trained / "model.safetensors").header
    assert header["family"] == "generators"
    assert header["elements"] == ["Li", "F", "Na", "Cl"]
    assert header["sizes"] == {"2": 42}
    assert {"valid", "test"} <= set(header["training"]["figures"])


def test_it_learns(trained: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    losses = [float(row["valid_loss"]) for row in rows]
    assert losses[-1] < 0.7 * losses[0]
    assert {"valid_coordinates_loss", "valid_lengths_loss", "valid_angles_loss"} <= set(rows[0])
    model, output = trained / "model.safetensors", tmp_path / "o.h5"
    generate(model, output, composition_of=trained / "data" / "test.h5", n=5, device="cpu")
    made = list(read_structures(output))
    assert len(made) == 30
    # One atom in the middle between the images of the other: a quarter of a period off if it were anywhere.
    places = crystal_set(made).fractional.reshape(-1, 2, 3)
    assert np.abs((places[:, 1] - places[:, 0]) % 1.0 - 0.5).mean() < 0.05
    assert 22 < np.median([s.volume for s in made]) < 32


@pytest.mark.parametrize(
    "model",
    [
        {"name": "diffcsp", "timesteps": 30, "species": "one-hot"},
        {"name": "diffcsp", "timesteps": 30, "species": "discrete", "lattice": "log-symmetric"},
        {"name": "flowmm", "species": "bits", "denoiser": NETWORKS["pair-transformer"]},
        {"name": "flowmm", "conditions": {"value": "energy_per_atom"}},
        {"name": "flowmm", "species": "discrete", "conditions": {"value": "gap", "system": True}},
        {"name": "diffcsp", "timesteps": 30, "conditions": {"system": True}},
    ],
)
def test_every_kind_is_trained_and_generates(data: Path, tmp_path: Path, model: dict[str, Any]) -> None:
    result = train(make_recipe(data, model=model, training={"max_epochs": 1}), tmp_path / "run", device="cpu")
    assert np.isfinite(result.metrics["valid"]["loss"])
    loaded = load_model(result.model).model
    assert isinstance(loaded, CrystalGenerator)
    assert all(bool(tensor.isfinite().all()) for tensor in loaded.state_dict().values())
    asked: dict[str, Any] = {} if loaded.gives_species else {"formula": "NaCl"}
    if loaded.config.conditions.value:
        asked["value"] = -1.0
        assert float(loaded.conditions.spread) != 1.0  # type: ignore[union-attr,arg-type]
    assert generate(result.model, tmp_path / "o.h5", n=3, steps=5, device="cpu", **asked).structures == 3


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    runs = [
        train(make_recipe(data, seed=seed, training={"max_epochs": 2}), tmp_path / name, device="cpu")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    one, same, other = (load_file(result.model) for result in runs)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_files_of_their_own(data: Path, tmp_path: Path) -> None:
    """Held-out crystals with elements that no training crystal has are left out, and named."""
    strange = crystals(1)[0]
    rest = [*crystals(6, seed=1), replace(strange, numbers=np.array([3, 35]))]
    valid = write(tmp_path / "valid.extxyz", rest)
    heard = Listener()
    recipe = make_recipe(data, data={"valid": str(valid), "max_train": 20}, training={"max_epochs": 1})
    train(recipe, tmp_path / "run", device="cpu", report=heard)
    sizes = {n: len(list(read_structures(tmp_path / "run/data" / f"{n}.h5"))) for n in ("train", "valid")}
    assert sizes == {"train": 20, "valid": 6}
    assert any("elements that no training structure has" in text for text in heard.warnings)


def test_the_check_says_what_crystals_are_like(data: Path) -> None:
    facts = dict(check_crystals(make_recipe(data)).facts)
    assert facts["crystals"] == "42 train, 12 valid, 6 test"
    assert facts["elements"] == "4"
    assert facts["atoms in a cell"].startswith("2 to 2")


def molecule() -> Structure:
    return Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0.7, 0, 0]]))


def test_structures_that_cannot_be_used(tmp_path: Path) -> None:
    """Molecules, cells that are too large, and those without the property: left out with a reason."""
    large = crystals(1, seed=3)[0]
    large = replace(
        large,
        numbers=np.tile(large.numbers, 2),
        positions=np.vstack([large.positions, large.positions + large.cell[0]]),
        cell=large.cell * np.array([[2.0], [1.0], [1.0]]),
        energy=None,
    )
    bare = replace(crystals(1, seed=4)[0], energy=None)
    write_structures(tmp_path / "mixed.h5", [*crystals(20), molecule(), large, bare])
    recipe = make_recipe(
        tmp_path / "mixed.h5", data={"max_atoms": 2}, model={"conditions": {"value": "energy_per_atom"}}
    )
    report = check_crystals(recipe)
    assert report.figures["left_out"] == 3
    for reason in ("three periods", "max_atoms", "'energy_per_atom'"):
        assert any(reason in text for text in report.warnings), report.warnings


@pytest.mark.parametrize(
    ("structures", "changes", "said"),
    [
        ([molecule()] * 3, {}, "no train structures"),
        (crystals(10), {"data": {"max_atoms": 1}}, "no train structures"),
        (crystals(10), {"data": {"split": {"valid": 0}}}, "no validation structures"),
        (crystals(10), {"model": {"conditions": {"value": "colour"}}}, "no train structures"),
    ],
)
def test_nothing_to_train_on(tmp_path: Path, structures: list[Structure], changes: dict[str, Any], said: str) -> None:
    write_structures(tmp_path / "few.h5", structures)
    with pytest.raises(InputError, match=said):
        train(make_recipe(tmp_path / "few.h5", **changes), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


SECTIONS = {"training": {"max_epochs": 10, "checkpoint": {"every_minutes": 1e-4}, "ema": 0.95}}


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    process = start(data, output)
    process.join(120)
    assert process.exitcode == 0
    return output


def start(data: Path, output: Path) -> BaseProcess:
    process = PROCESSES.Process(target=run, args=(data, output, SECTIONS))
    process.start()
    return process


def test_killed_and_resumed(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    """While the data are prepared and twice while training; the weights are those of a run that was not."""
    output = tmp_path / "run"
    kill_when((output / "data" / "train.h5").exists, start(data, output))
    for step in (5, 30):
        kill_when(lambda step=step: newest_step(output) >= step, start(data, output))
        assert newest_step(output) < newest_step(undisturbed)
    last = start(data, output)
    last.join(120)
    assert last.exitcode == 0
    assert_same_end(output, undisturbed)
