"""Training of docking networks, from folders of complexes to a model that places ligands."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
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
from eqcli.engine.training_checkpoint import list_checkpoints
from eqcli.engine.training_docking import DockingObjective
from eqcli.errors import InputError
from eqcli.io import read_structures
from eqcli.io.structure import Structure
from eqcli.models.docking.base import DockingNetwork
from eqcli.tasks.train import train
from eqcli.tasks.train_docking import PARTS, check_complexes, read_parts
from tests.docking_folder import pdbbind_folder, series_folder
from tests.io.peptides import line
from tests.listener import Listener
from tests.tasks.train_docking_case import TINY, make_recipe, run

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


SEEN: dict[str, Any] = {"data": {"split": {"by": "protein", "valid": 0.25, "test": 0.25, "seen": 0.34}}}


def changed(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Keys of the `data` section beside those of every case, and other sections."""
    return {"data": {"conformers": 2, **data}, **more}


@pytest.fixture(scope="module")
def trained(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    train(make_recipe(series, **SEEN), output, device="cpu")
    return output


def ligands(structures: list[Structure]) -> list[Structure]:
    return [s for s in structures if s.info["role"] == "ligand"]


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


def test_stopped_and_continued(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error in the middle the weights are those of a run without one, though the files are gone."""
    changes: dict[str, Any] = {**SEEN, "training": {"max_epochs": 4, "batch": {"structures": 2},
                                                    "checkpoint": {"every_minutes": 1e-6}}}  # fmt: skip
    data = shutil.copytree(series, tmp_path / "data")
    whole = train(make_recipe(data, **changes), tmp_path / "whole", device="cpu")
    plain, calls = DockingObjective.loss, 0

    def failing(self: DockingObjective, model: Any, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise RuntimeError("power cut")
        return plain(self, model, batch)

    monkeypatch.setattr(DockingObjective, "loss", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        train(make_recipe(data, **changes), tmp_path / "run", device="cpu")
    monkeypatch.setattr(DockingObjective, "loss", plain)
    shutil.rmtree(data)
    result = train(make_recipe(data, **changes), tmp_path / "run", device="cpu", resume=True)
    assert result.steps == whole.steps == 8
    found, expected = load_file(result.model), load_file(whole.model)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert (tmp_path / "run/metrics.csv").read_text() == (tmp_path / "whole/metrics.csv").read_text()


def newest_step(output: Path) -> int:
    found = list_checkpoints(output / "checkpoints")
    return int(found[0].stem.split("-")[1]) if found else -1


def kill_when(happened: Callable[[], Any], process: BaseProcess) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert process.is_alive(), "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)


def test_killed_and_resumed(series: Path, tmp_path: Path) -> None:
    """While the data are prepared and while training; the weights are those of a run that was not."""
    sections: dict[str, Any] = {"training": {"max_epochs": 12, "batch": {"structures": 2}, "ema": 0.95,
                                             "checkpoint": {"every_minutes": 1e-6}}}  # fmt: skip

    def start(output: Path) -> BaseProcess:
        process = PROCESSES.Process(target=run, args=(series, output, sections))
        process.start()
        return process

    whole, output = tmp_path / "whole", tmp_path / "run"
    undisturbed = start(whole)
    kill_when((output / "data" / "train.h5").exists, start(output))
    kill_when(lambda: newest_step(output) >= 7, start(output))
    undisturbed.join(120)
    assert undisturbed.exitcode == 0
    assert newest_step(output) < newest_step(whole)
    last = start(output)
    last.join(120)
    assert last.exitcode == 0
    found, expected = (load_file(folder / "model.safetensors") for folder in (output, whole))
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert (output / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


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


def test_random_splits_need_to_be_asked_for(series: Path) -> None:
    with pytest.raises(ValidationError, match="--allow-leak"):
        make_recipe(series, **changed({"split": {"by": "random"}}))
    split = {"by": "random", "valid": 0.25, "test": 0.25, "allow_leak": True}
    parts, _ = read_parts(make_recipe(series, **changed({"split": split})), Listener())
    assert {name: len(ligands(part)) for name, part in parts.items()} == {"train": 6, "valid": 3, "test": 3}
    proteins = [{s.info["protein"] for s in parts[name] if s.info["role"] == "receptor"} for name in ("train", "test")]
    assert proteins[0] & proteins[1]


def test_a_split_by_year(single: Path) -> None:
    split = {"by": "year", "valid": 2, "test": 2}
    parts, failures = read_parts(make_recipe(single, **changed({"split": split})), Listener())
    assert failures == []
    years = {name: sorted(s.info["year"] for s in part if s.info["role"] == "receptor") for name, part in parts.items()}
    assert years == {"train": [2001, 2002, 2003, 2004], "valid": [2005, 2006], "test": [2007, 2008]}


def test_a_split_by_year_needs_years(series: Path) -> None:
    with pytest.raises(InputError, match="year"):
        read_parts(make_recipe(series, **changed({"split": {"by": "year"}})), Listener())


def test_a_split_by_clusters_of_sequences(single: Path, tmp_path: Path) -> None:
    """A copy of a protein under another name stays with it."""
    data = shutil.copytree(single, tmp_path / "data")
    for number in range(4):
        shutil.copytree(data / f"1aa{number}", data / f"copy{number}")
    split = {"by": "cluster", "valid": 0.3, "test": 0.3}
    parts, _ = read_parts(make_recipe(data, **changed({"split": split})), Listener())
    where = {s.info["name"]: name for name, part in parts.items() for s in ligands(part)}
    assert len(where) == 12
    for number in range(4):
        assert where[f"1aa{number}"] == where[f"copy{number}"]


def test_validation_by_new_ligands_of_trained_proteins(series: Path) -> None:
    split = {"by": "protein", "valid": 0.3, "test": 0.25, "valid_seen": True}
    parts, _ = read_parts(make_recipe(series, **changed({"split": split})), Listener())
    proteins = {name: {s.info["protein"] for s in part if s.info["role"] == "receptor"} for name, part in parts.items()}
    assert proteins["valid"] <= proteins["train"]
    assert not proteins["test"] & proteins["train"]
    names = [s.info["name"] for part in parts.values() for s in ligands(part)]
    assert len(names) == len(set(names)) == 12


def test_files_of_their_own(series: Path, single: Path) -> None:
    recipe = make_recipe(series, **changed({"valid": str(single), "max_train": 5, "split": {"test": 0}}))
    parts, _ = read_parts(recipe, Listener())
    assert {name: len(ligands(part)) for name, part in parts.items()} == {"train": 5, "valid": 8}
    several = make_recipe(series, **changed({"train": [str(series), str(single)], "split": {"by": "protein"}}))
    parts, _ = read_parts(several, Listener())
    assert sum(len(ligands(part)) for part in parts.values()) == 20


def test_a_dataset_of_another_run(trained: Path) -> None:
    stored = trained / "data" / "train.h5"
    recipe = make_recipe(stored, **changed({"valid": str(trained / "data" / "test.h5"), "split": {"test": 0}}))
    parts, failures = read_parts(recipe, Listener())
    assert failures == []
    assert [s.info["name"] for s in ligands(parts["train"])] == [
        s.info["name"] for s in ligands(list(read_structures(stored)))
    ]


def test_complexes_that_cannot_be_read_are_named(series: Path, tmp_path: Path) -> None:
    """A row each, with the reason; the others are trained on."""
    data = shutil.copytree(series, tmp_path / "data")
    (data / "p0" / "protein.pdb").write_text("REMARK nothing\nEND\n")
    broken = (data / "p1" / "ligands.sdf").read_text().split("$$$$\n")
    broken[1] = "l1\nno molecule\n\n"
    (data / "p1" / "ligands.sdf").write_text("$$$$\n".join(broken))
    (data / "p4").mkdir()
    (data / "p4" / "protein.pdb").write_text("END\n")
    heard = Listener()
    recipe = make_recipe(data, training={"max_epochs": 1})
    _, failures = read_parts(recipe, Listener())
    assert sorted(f.item for f in failures) == ["p0/l0", "p0/l1", "p0/l2", "p1/l1", "p4"]
    assert all(f.reason for f in failures)
    train(recipe, tmp_path / "run", device="cpu", report=heard)
    (text,) = [x for x in heard.warnings if "left out" in x]
    assert text.startswith("5 ")
    assert "p0/l0" in text
    figures = check_complexes(recipe).figures
    assert figures["left_out"] == 5
    assert sum(figures["complexes"].values()) == 8


def test_a_ligand_left_in_the_file_of_its_receptor_is_not_shown(series: Path, tmp_path: Path) -> None:
    """It would tell where it binds; another molecule stays."""
    data = shutil.copytree(series, tmp_path / "data")
    pose = next(iter(read_structures(data / "p0" / "ligands.sdf")))
    heavy = pose.positions[pose.numbers > 1]
    names = ("C1", "C2", "O1")
    lines = [
        line(name, residue, number, position, name[0])
        for residue, number, shift in (("LIG", 900, 0.0), ("OTH", 901, 25.0))
        for name, position in zip(names, heavy + shift, strict=True)
    ]
    path = data / "p0" / "protein.pdb"
    path.write_text(path.read_text().replace("END\n", "".join(lines) + "END\n"))
    parts, failures = read_parts(make_recipe(data), Listener())
    assert failures == []
    every = {s.info["name"]: s for part in parts.values() for s in part}
    own = every[every["p0/l0"].info["receptor"]]
    hetero = {str(x) for x in np.asarray(own.arrays["residue_name"])[np.asarray(own.arrays["hetero"], dtype=bool)]}
    assert hetero == {"OTH"}


def test_limits(series: Path) -> None:
    small = make_recipe(series, **changed({"max_atoms": 5, "split": {"by": "protein", "valid": 0.25}}))
    _, failures = read_parts(small, Listener())
    assert {f.item for f in failures} == {f"p{k}/l1" for k in range(4)}
    assert all("data.max_atoms" in f.reason for f in failures)
    with pytest.raises(InputError, match=r"data\.max_residues"):
        read_parts(make_recipe(series, **changed({"max_residues": 10})), Listener())


@pytest.mark.parametrize("what", ["receptors", "ligands"])
def test_nothing_that_can_be_read(series: Path, tmp_path: Path, what: str) -> None:
    data = shutil.copytree(series, tmp_path / "data")
    for place in data.iterdir():
        if what == "receptors":
            (place / "protein.pdb").write_text("END\n")
        else:
            (place / "ligands.sdf").write_text("x\n\n\nnothing\n$$$$\n")
    with pytest.raises(InputError, match=r"no train complexes are left\n.*The first of (4|12) that were left out: \w+"):
        train(make_recipe(data), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"by": "protein", "valid": 0}, "no validation complexes"),
        ({"by": "protein", "valid": 0.5, "test": 0.9}, "parts"),
    ],
)
def test_splits_that_leave_nothing(series: Path, tmp_path: Path, split: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        train(make_recipe(series, **changed({"split": split})), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_check_says_what_complexes_are_like(series: Path) -> None:
    facts = dict(check_complexes(make_recipe(series, **SEEN)).facts)
    assert facts["complexes"] == "4 train, 3 valid, 2 seen, 3 test"
    assert facts["receptors"].startswith("2 train, 1 valid")
    assert facts["residues"].startswith("42 to 42")
    assert facts["heavy atoms"].startswith("3 to 7")
    seen, test = (facts[f"known to training, {name}"] for name in ("seen", "test"))
    assert re.match(r"(\d) of \1 proteins with 90% or more equal residues \(the nearest 100%\)", seen)
    assert test.startswith("0 of 1 proteins")
    assert test.endswith("3 ligands")


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
