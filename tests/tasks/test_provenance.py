"""What outputs say of where they come from, as `info` reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.cli.origin_words import origin_words
from eqcli.engine.model_file import save_model
from eqcli.engine.provenance import machine, made_by, provenance
from eqcli.files import sha256
from eqcli.io import write_structures
from eqcli.io.structure import Structure
from eqcli.tasks.convert import convert
from eqcli.tasks.evaluate import evaluate
from eqcli.tasks.generate import generate
from eqcli.tasks.info import info
from eqcli.tasks.pipeline import run_pipeline
from eqcli.tasks.pipeline_state import PlannedStep
from eqcli.tasks.predict import predict
from eqcli.tasks.relax import relax
from tests.generator_case import NETWORKS, generator
from tests.toy_model import register_toy, save_toy


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register_toy(monkeypatch)
    return save_toy(tmp_path / "model.safetensors")


@pytest.fixture
def crystals(tmp_path: Path) -> Path:
    cell = np.eye(3) * 4.2
    given = [Structure([6, 8], np.array([[0.0, 0, 0], [2.1 + 0.1 * k, 2.1, 2.1]]), cell, True) for k in range(3)]
    for structure in given:
        structure.energy = -1.0
    write_structures(tmp_path / "in.extxyz", given)
    return tmp_path / "in.extxyz"


def origin(path: Path) -> dict[str, Any]:
    found = info(path)["provenance"]
    assert isinstance(found, dict)
    return found


def require_complete(found: dict[str, Any], model: Path) -> None:
    """Versions, machine, device, command and the model's hash."""
    assert found["model"]["sha256"] == sha256(model)
    assert found["device"] == "cpu"
    assert found["machine"]["cpu"]
    assert found["machine"]["threads"] >= 1
    assert found["packages"]["torch"] == torch.__version__
    assert found["command"]
    assert found["eqcli"]


@pytest.mark.parametrize("ending", [".extxyz", ".h5", ".cif", ".cif.zip", ".json", ".db", ".pdb"])
def test_predictions_carry_the_model_and_the_request(ending: str, model: Path, crystals: Path, tmp_path: Path) -> None:
    given = crystals
    predict(model, [given], tmp_path / f"out{ending}", stress=True, batch_atoms=4)
    found = origin(tmp_path / f"out{ending}")
    require_complete(found, model)
    assert found["model"]["recipe"] == "toy"
    request = found["request"]
    assert (request["task"], request["inputs"]) == ("predict", ["in.extxyz"])
    assert (request["settings"]["stress"], request["settings"]["batch_atoms"]) == (True, 4)


def test_relaxed_structures_and_their_trajectories_carry_them(model: Path, crystals: Path, tmp_path: Path) -> None:
    relax(model, [crystals], tmp_path / "out.h5", trajectory=tmp_path / "path.h5", fmax=0.5, steps=3)
    for name in ("out.h5", "path.h5"):
        found = origin(tmp_path / name)
        require_complete(found, model)
        assert found["request"]["task"] == "relax"


def test_generated_structures_carry_seed_and_sampling(tmp_path: Path) -> None:
    made = generator({"name": "flowmm", "denoiser": NETWORKS["cspnet"]})
    save_model(tmp_path / "g.safetensors", made, training={}, provenance={})
    generate(
        tmp_path / "g.safetensors", tmp_path / "out.extxyz", n=2, formula="TiO", seed=7, steps=3, device="cpu"
    )  # fmt: skip
    found = origin(tmp_path / "out.extxyz")
    require_complete(found, tmp_path / "g.safetensors")
    assert found["generation"]["seed"] == 7
    assert found["generation"]["sampling"]["steps"] == 3


def test_converted_files_name_their_inputs(crystals: Path, tmp_path: Path) -> None:
    convert([crystals], tmp_path / "out.h5")
    assert origin(tmp_path / "out.h5")["inputs"] == ["in.extxyz"]


def test_reports_carry_them_in_their_data(model: Path, crystals: Path, tmp_path: Path) -> None:
    evaluate(model, [crystals], tmp_path / "report", audit=False)
    facts = info(tmp_path / "report" / "report.json")
    assert facts["kind"] == "report"
    assert facts["provenance"]["device"] == "cpu"
    content = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert content["model"]["sha256"] == sha256(model)


def test_what_a_pipeline_makes_names_its_step_and_its_arguments(model: Path, crystals: Path, tmp_path: Path) -> None:
    arguments = {"model": str(model), "inputs": [str(crystals)], "output": "out.extxyz", "batch_atoms": 5}
    step = PlannedStep("one", "predict", arguments, (str(model), str(crystals)), {"output": "out.extxyz"})
    result = run_pipeline("chain", [step], tmp_path / "run", device="cpu")
    assert result.exit_code == 0, result.failures
    found = origin(tmp_path / "run" / "one" / "out.extxyz")
    require_complete(found, model)
    assert found["recipe"] == {"pipeline": "chain", "step": "one", "task": "predict", "arguments": arguments}


def test_a_recipe_is_that_of_its_surroundings() -> None:
    with made_by({"pipeline": "p", "step": "one", "arguments": {"n": 3}}):
        assert provenance()["recipe"] == {"pipeline": "p", "step": "one", "arguments": {"n": 3}}
    assert "recipe" not in provenance()


def test_the_machine_is_told_without_its_name() -> None:
    import getpass
    import socket

    told = json.dumps(machine())
    assert socket.gethostname() not in told or len(socket.gethostname()) < 4
    assert getpass.getuser() not in told
    assert machine()["threads"] == torch.get_num_threads()


def test_a_person_reads_what_matters_first() -> None:
    found = {
        "packages": {"torch": "2.0", "numpy": "1"},
        "python": "3.11",
        "model": {"sha256": "ab" * 32, "name": "mace"},
        "command": ["eqcli", "predict", "a b.safetensors"],
        "created": "2026-01-01",
        "request": {"task": "predict", "settings": {"stress": True, "batch_atoms": None}},
        "novel": 0.25,
    }
    words = origin_words(found)
    assert list(words) == ["created", "command", "model", "request", "novel", "versions"]
    assert words["command"] == "eqcli predict 'a b.safetensors'"
    assert words["model"] == "sha256: abababababab, name: mace"
    assert words["request"] == "task: predict, settings: (stress: yes)"
    assert words["versions"] == "python 3.11, torch 2.0, numpy 1"
