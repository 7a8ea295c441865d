"""Training of generators of molecules, from files of structures to a model that generates."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eqcli.engine.model_file import load_model
from eqcli.engine.training_molecules import TrainableMolecules
from eqcli.errors import InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.tasks.generate import generate
from eqcli.tasks.train import train
from eqcli.tasks.train_molecules import check_molecules, read_molecules
from tests.listener import Listener
from tests.molecule_case import NETWORKS
from tests.molecules import boneless, embedded, with_order
from tests.stopping import assert_same_end, power_cut
from tests.tasks.train_molecules_case import make_recipe, molecules, write


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "molecules.sdf", molecules(60))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run long enough to learn where atoms are, conditioned on a property that stands in an SD file."""
    output = tmp_path_factory.mktemp("runs") / "run"
    recipe = make_recipe(
        data,
        model={"conditions": {"values": ["gap"]}, "denoiser": {**NETWORKS["eqgat"], "channels": 32, "heads": 4}},
        training={"max_epochs": 60, "batch": {"structures": 7}, "ema": 0.98},
    )
    train(recipe, output, device="cpu")
    return output


def test_what_a_run_leaves_behind(data: Path, trained: Path) -> None:
    parts = {name: list(read_structures(trained / "data" / f"{name}.h5")) for name in ("train", "valid", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 42, "valid": 12, "test": 6}
    given = {s.info["name"]: s for s in read_structures(data)}
    drawn = [s for part in parts.values() for s in part]
    assert {s.info["name"] for s in drawn} == set(given)
    for one in drawn:
        assert np.array_equal(one.positions, given[one.info["name"]].positions)
        assert one.info["bonds"] == given[one.info["name"]].info["bonds"]
        assert len(one.arrays["hybridisation"]) == len(one)
    facts = json.loads((trained / "provenance.json").read_text())
    assert len(facts["data"][0]["sha256"]) == 64
    header = load_model(trained / "model.safetensors").header
    assert header["family"] == "molecules"
    assert header["elements"] == ["H", "C", "N", "O"]
    assert header["vocabulary"]["bonds"] == [0, 1, 2]
    assert sum(header["sizes"].values()) == 42
    assert {"valid", "test"} <= set(header["training"]["figures"])


def test_it_learns(trained: Path, tmp_path: Path) -> None:
    """Losses fall, and bonds of what is generated are about as long as bonds are."""
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    losses = [float(row["valid_loss"]) for row in rows]
    assert losses[-1] < 0.6 * losses[0]
    names = {f"valid_{name}_loss" for name in ("positions", "elements", "charges", "hybridisations", "bonds")}
    assert names <= set(rows[0])
    generate(trained / "model.safetensors", tmp_path / "o.h5", n=60, steps=30, device="cpu")
    made = list(read_structures(tmp_path / "o.h5"))
    lengths = [np.linalg.norm(s.positions[i] - s.positions[j]) for s in made for i, j, _ in s.info["bonds"]]
    assert 0.9 < float(np.median(lengths)) < 1.5
    assert all(s.info["bonds"] for s in made if len(s) > 2)


def test_a_property_of_an_sd_file_steers(trained: Path, tmp_path: Path) -> None:
    """Data items are texts; the model knows their mean and spread, and makes something else for another value."""
    model = load_model(trained / "model.safetensors").model
    assert isinstance(model, MoleculeGenerator)
    assert model.conditions is not None
    train_values = [float(s.info["gap"]) for s in read_structures(trained / "data" / "train.h5")]
    assert float(model.conditions.mean[0]) == pytest.approx(np.mean(train_values), rel=1e-5)
    expected = np.abs(np.array(train_values) - np.mean(train_values)).mean()
    assert float(model.conditions.spread[0]) == pytest.approx(expected, rel=1e-5)
    # Four atoms are ammonia (9) or formaldehyde (8).
    made = {}
    for gap in (9.0, 8.0):
        output = tmp_path / f"{gap}.h5"
        generate(trained / "model.safetensors", output, n=20, atoms=4, condition={"gap": gap}, steps=20, device="cpu")
        made[gap] = list(read_structures(output))
    heavy = {gap: np.mean([(s.numbers > 1).sum() for s in found]) for gap, found in made.items()}
    assert heavy[8.0] > heavy[9.0] + 0.3


@pytest.mark.parametrize(
    "model",
    [
        {"name": "edm", "timesteps": 20, "denoiser": NETWORKS["egnn"]},
        {"name": "edm", "timesteps": 20, "denoiser": NETWORKS["eqgat"], "conditions": {"values": ["gap"]}},
        {"name": "flow-matching", "bonds": False, "denoiser": NETWORKS["egnn"]},
        {"name": "flow-matching", "features": {"prior": "absorbing"}, "denoiser": NETWORKS["egnn"]},
        {"name": "eqgat-diff", "timesteps": 20, "conditions": {"values": ["gap"]}, "denoiser": NETWORKS["eqgat"]},
    ],
)
def test_every_kind_is_trained_and_generates(data: Path, tmp_path: Path, model: dict[str, Any]) -> None:
    result = train(make_recipe(data, model=model, training={"max_epochs": 1}), tmp_path / "run", device="cpu")
    assert np.isfinite(result.metrics["valid"]["loss"])
    loaded = load_model(result.model).model
    assert isinstance(loaded, MoleculeGenerator)
    assert all(bool(tensor.isfinite().all()) for tensor in loaded.state_dict().values())
    assert float(loaded.spread) == pytest.approx(0.85, abs=0.3)
    condition = {"gap": 8.0} if loaded.config.conditions.values else {}
    made = generate(result.model, tmp_path / "o.h5", n=3, steps=5, condition=condition, device="cpu")
    assert made.structures == 3


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    runs = [
        train(make_recipe(data, seed=seed, training={"max_epochs": 2}), tmp_path / name, device="cpu")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    one, same, other = (load_file(result.model) for result in runs)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_stopped_and_continued(data: Path, tmp_path: Path) -> None:
    """After an error in the middle the weights are those of a run without one."""
    from eqcli.engine.training_molecules import MoleculeObjective

    changes: dict[str, Any] = {"training": {"max_epochs": 4, "checkpoint": {"every_minutes": 1e-6}}}
    whole = train(make_recipe(data, **changes), tmp_path / "whole", device="cpu")
    with power_cut(MoleculeObjective, "loss", 16):
        train(make_recipe(data, **changes), tmp_path / "run", device="cpu")
    result = train(make_recipe(data, **changes), tmp_path / "run", device="cpu", resume=True)
    assert result.steps == whole.steps
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_files_without_bonds(tmp_path: Path) -> None:
    """RDKit finds them from the positions; a model without bonds has no need of them."""
    bare = [replace(boneless(s), charge=0.0) for s in molecules(30)]
    write_structures(tmp_path / "bare.extxyz", bare)
    parts, failures = read_molecules(make_recipe(tmp_path / "bare.extxyz"), Listener())
    assert failures == []
    stated = {len(s): len(s.info["bonds"]) for s in molecules(6)}
    assert all(len(s.info["bonds"]) == stated[len(s)] for part in parts.values() for s in part)
    plain = make_recipe(tmp_path / "bare.extxyz", model={"bonds": False})
    parts, _ = read_molecules(plain, Listener())
    assert not any("bonds" in s.info for part in parts.values() for s in part)


def test_files_of_their_own(data: Path, tmp_path: Path) -> None:
    """Held-out molecules with elements that no training molecule has are left out, and named."""
    valid = write(tmp_path / "valid.sdf", [*molecules(6, seed=500), embedded("CF")])
    heard = Listener()
    recipe = make_recipe(data, data={"valid": str(valid), "max_train": 20}, training={"max_epochs": 1})
    train(recipe, tmp_path / "run", device="cpu", report=heard)
    sizes = {n: len(list(read_structures(tmp_path / "run/data" / f"{n}.h5"))) for n in ("train", "valid")}
    assert sizes == {"train": 20, "valid": 6}
    assert any("elements that no training structure has" in text for text in heard.warnings)


def test_the_check_says_what_molecules_are_like(data: Path) -> None:
    facts = dict(check_molecules(make_recipe(data)).facts)
    assert facts["molecules"] == "42 train, 12 valid, 6 test"
    assert facts["atoms"].startswith("3 to 8")
    assert facts["elements"].startswith("H ")
    assert "2: 7" in facts["bonds by order"]


def test_molecules_that_cannot_be_used(tmp_path: Path) -> None:
    """Crystals, molecules that are too large or impossible, and those without the property: left out with a reason."""
    crystal = replace(molecules(1)[0], cell=9.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    large = replace(embedded("CCC"), info={**embedded("CCC").info, "gap": 1.0})
    texan = with_order(molecules(2)[1], 0, 3)
    unnamed = replace(molecules(1)[0], info={"bonds": molecules(1)[0].info["bonds"]})
    in_words = replace(molecules(1)[0], info={**molecules(1)[0].info, "gap": "wide"})
    write_structures(tmp_path / "mixed.h5", [*molecules(20), crystal, large, texan, unnamed, in_words])
    recipe = make_recipe(tmp_path / "mixed.h5", data={"max_atoms": 8}, model={"conditions": {"values": ["gap"]}})
    report = check_molecules(recipe)
    assert report.figures["left_out"] == 5
    _, failures = read_molecules(recipe, Listener())
    reasons = [failure.reason for failure in failures]
    for said, count in (("periodic", 1), ("max_atoms", 1), ("valence", 1), ("'gap'", 2)):
        assert sum(said in reason for reason in reasons) == count, reasons


@pytest.mark.parametrize(
    ("structures", "changes", "said"),
    [
        ([with_order(embedded("C"), 0, 3)] * 4, {}, "no train structures"),
        (molecules(10), {"data": {"max_atoms": 2}}, "no train structures"),
        (molecules(10), {"data": {"split": {"valid": 0}}}, "no validation structures"),
        (molecules(10), {"model": {"conditions": {"values": ["colour"]}}}, "no train structures"),
    ],
)
def test_nothing_to_train_on(tmp_path: Path, structures: list[Structure], changes: dict[str, Any], said: str) -> None:
    write_structures(tmp_path / "few.h5", structures)
    with pytest.raises(InputError, match=said):
        train(make_recipe(tmp_path / "few.h5", **changes), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_figures_of_held_out_molecules_are_the_same_each_time(data: Path) -> None:
    """The noise is fixed: figures of epochs can be compared."""
    from eqcli.data.molecules import molecule_set
    from eqcli.data.prepared_sets import PreparedSets

    recipe = make_recipe(data, model={"conditions": {"values": ["gap"]}})
    parts, _ = read_molecules(recipe, Listener())
    prepared = PreparedSets({name: molecule_set(rows, ["gap"]) for name, rows in parts.items()}, {}, [])
    made = TrainableMolecules(recipe, prepared)
    model = made.new_model()
    indices = [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9, 10, 11]]
    figures = [made.objective.measure(model, made.batches("valid", indices, 0)) for _ in range(2)]
    assert figures[0] == figures[1]
    torch.manual_seed(99)
    assert made.objective.measure(model, made.batches("valid", indices, 0)) == figures[0]
    assert made.lengths("train").tolist() == [len(s) for s in parts["train"]]
    for unit, each in (("structures", 1), ("atoms", len(parts["train"][0])), ("edges", len(parts["train"][0]) ** 2)):
        section = make_recipe(data, training={"batch": {unit: 40}}).training.batch
        budget, sizes = made.budget("train", section)
        assert (budget.unit, budget.limit, int(sizes[0])) == (unit, 40, each)
