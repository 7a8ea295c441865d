"""`eqcli generate` and `eqcli train` of molecules: mistakes are told in two lines, exit codes say how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from eqcli.io import read_structures, write_structures
from tests.molecule_case import NETWORKS
from tests.molecules import boneless, embedded
from tests.tasks.generate_molecules_case import models, scaffolds
from tests.tasks.train_molecules_case import molecules

from .conftest import Ended
from .test_generate_command import unfinished

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = models(tmp_path_factory.mktemp("models"))
    scaffolds(folder)
    return folder


def test_a_document_for_programs(eqcli: Run, files: Path) -> None:
    words = ("--n", "3", "--atoms", "4", "--steps", "2", "-o", "o.sdf", "--json", "--device", "cpu")
    ended = eqcli("generate", str(files / "flow.safetensors"), *words)
    found = json.loads(ended.out)
    assert ended.code == found["exit_code"] == 0
    assert (found["structures"], found["wanted"], found["network_calls_per_structure"]) == (3, 3, 2)
    assert [len(s) for s in read_structures(Path("o.sdf"))] == [4, 4, 4]


def test_a_summary_for_people(eqcli: Run, files: Path) -> None:
    words = ("--n", "4", "-o", "o.h5", "--condition", "gap=7.5", "--condition", "dipole=1", "--guidance", "2")
    ended = eqcli("generate", str(files / "steered.safetensors"), *words, "--device", "cpu")
    assert ended.code == 0
    assert "8 for each structure" in ended.out + ended.err
    made = list(read_structures(Path("o.h5")))
    assert {(s.info["wanted_gap"], s.info["wanted_dipole"]) for s in made} == {(7.5, 1.0)}


def test_scaffolds_that_cannot_be_completed_are_listed(eqcli: Run, files: Path) -> None:
    words = ("--scaffold", str(files / "cores.sdf"), "-n", "2", "-o", "o.sdf", "--device", "cpu")
    ended = eqcli("generate", str(files / "flow.safetensors"), *words)
    assert ended.code == 3
    assert "not trained on F" in " ".join((ended.err + ended.out).split())
    made, cores = list(read_structures(Path("o.sdf"))), list(read_structures(files / "cores.sdf"))
    assert len(made) == 4
    for number, one in enumerate(made):
        assert one.positions[:2].tolist() == cores[number // 2].positions[:2].tolist()


def test_smiles_of_what_has_some(eqcli: Run, files: Path) -> None:
    """Two atoms at most, some of which are molecules; the others are listed."""
    words = ("-n", "30", "--atoms", "2", "-o", "o.smi", "--device", "cpu")
    ended = eqcli("generate", str(files / "flow.safetensors"), *words)
    assert ended.code in (0, 3)
    assert "Traceback" not in ended.err
    lines = Path("o.smi").read_text().split("\n")
    assert any(line and not line.startswith("#") for line in lines)


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("flow", ("--formula", "CH4"), "--formula: for generators of crystals"),
        ("flow", ("--system", "C-H"), "--system: for generators of crystals"),
        ("flow", ("--value", "0"), "--value: for generators of crystals"),
        ("flow", ("--strength", "0.5"), "--strength: for generators of crystals"),
        ("flow", ("--condition", "gap=1"), "trained without properties"),
        ("steered", ("--condition", "gapp=1"), "Did you mean 'gap'"),
        ("steered", ("--condition", "gap=wide"), "expected a number"),
        ("steered", ("--condition", "gap"), "name and a value"),
        ("flow", ("--scaffold", "bare.extxyz"), "states none"),
        ("flow", ("--scaffold", "fluorine.sdf"), "not trained on F"),
        ("flow", ("--scaffold", "core.sdf", "--atoms", "3"), "3 heavy atoms"),
        ("flow", ("--scaffold", "absent.sdf"), "no such file"),
        ("flow", ("--limit", "3"), "--limit"),
        ("flow", ("--sampling", "jiter=4"), "Did you mean 'jitter'"),
        ("flow", ("--sampling", "temperature=0"), "temperature"),
        ("flow", ("--atoms", "0"), "--atoms"),
        ("flow", ("--steps", "0"), "--steps"),
        ("flow", ("--scaffold", "core.sdf", "-o", "core.sdf", "--overwrite"), "input"),
        ("flow", ("-o", "core.sdf"), "exists"),
        ("flow", ("-o", "o.docx"), "docx"),
        ("flow", ("-o", "half.h5"), "unfinished"),
        ("flow", ("-o", "half.h5", "--resume"), "asked for with another"),
    ],
)
def test_mistakes(eqcli: Run, files: Path, model: str, words: tuple[str, ...], said: str) -> None:
    ethanol = embedded("CCO")
    write_structures(Path("core.sdf"), [ethanol])
    write_structures(Path("fluorine.sdf"), [embedded("CF")])
    write_structures(Path("bare.extxyz"), [boneless(ethanol)])
    unfinished("half.h5")
    before = {path.name for path in Path().iterdir()}
    output = () if "-o" in words else ("-o", "o.h5")
    ended = eqcli("generate", str(files / f"{model}.safetensors"), *words, *output, "--device", "cpu")
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
    assert {path.name for path in Path().iterdir()} == before


def recipe(**changes: object) -> str:
    sections: dict[str, object] = {
        "family": "molecules",
        "name": "case",
        "data": {"train": "molecules.sdf", "split": {"valid": 0.2}},
        "model": {"name": "flow-matching", "denoiser": NETWORKS["egnn"], "conditions": {"values": ["gap"]}},
        "training": {"max_epochs": 1, "batch": {"structures": 8}},
    }
    return yaml.safe_dump({**sections, **changes})


def test_from_an_sd_file_to_molecules_with_a_property(eqcli: Run) -> None:
    write_structures(Path("molecules.sdf"), molecules(30))
    Path("recipe.yaml").write_text(recipe(), encoding="utf-8")
    ended = eqcli("train", "recipe.yaml", "-o", "run", "--device", "cpu")
    assert ended.code == 0, ended.err
    words = ("-n", "2", "--condition", "gap=8", "--steps", "3", "-o", "o.sdf", "--device", "cpu")
    assert eqcli("generate", "run/model.safetensors", *words).code == 0
    assert [float(s.info["wanted_gap"]) for s in read_structures(Path("o.sdf"))] == [8.0, 8.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"name": "flow-matchin"}}, "flow-matching"),
        ({"model": {"name": "edm", "bonds": True}}, "bonds"),
        ({"model": {"name": "edm", "conditions": {"values": ["colour"]}}}, "colour"),
        (
            {"model": {"name": "flow-matching", "denoiser": {"name": "eqgat", "channels": 10, "heads": 4}}},
            "10 channels",
        ),
        ({"model": {"name": "edm", "schedule": "learned"}}, "loss: bound"),
    ],
)
def test_mistakes_in_recipes(eqcli: Run, changes: dict[str, object], said: str) -> None:
    write_structures(Path("molecules.sdf"), molecules(12))
    Path("recipe.yaml").write_text(recipe(**changes), encoding="utf-8")
    ended = eqcli("train", "recipe.yaml", "-o", "run", "--device", "cpu")
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
