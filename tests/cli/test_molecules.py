"""`eqcli evaluate --reference` of molecules: what the files hold decides, and options of crystals do not mix in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.io import write_structures
from eqcli.io.structure import Structure

from .conftest import Ended

Run = Callable[..., Ended]
Task = Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]

WATER = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
SALT = Structure(np.array([11, 17]), np.array([[0, 0, 0], [2.8, 0, 0]]), cell=4 * np.eye(3), pbc=True)


@pytest.fixture
def files(eqcli: Run, tmp_path: Path) -> None:
    """A file of molecules and one of crystals in the folder that commands run in."""
    write_structures(tmp_path / "gen.extxyz", [WATER])
    write_structures(tmp_path / "salt.extxyz", [SALT])


@pytest.mark.usefixtures("files")
def test_a_file_of_molecules_is_evaluated_as_molecules(eqcli: Run, task: Task) -> None:
    calls, crystals = task("evaluate_molecules"), task("evaluate_crystals")
    assert eqcli("evaluate", "gen.extxyz", "--reference", "test.sdf").code == 0
    ((args, kwargs),) = calls
    assert not crystals
    assert args == ([Path("gen.extxyz")], Path("test.sdf"), Path("evaluation-gen"))
    kwargs.pop("report")
    assert kwargs == {"baselines": True, "seed": 0, "overwrite": False}


@pytest.mark.usefixtures("files")
def test_a_file_of_crystals_is_evaluated_as_crystals(eqcli: Run, task: Task) -> None:
    molecules, calls = task("evaluate_molecules"), task("evaluate_crystals")
    assert eqcli("evaluate", "salt.extxyz", "--reference", "test.csv").code == 0
    assert calls
    assert not molecules


@pytest.mark.usefixtures("files")
def test_every_option_arrives(eqcli: Run, task: Task) -> None:
    calls = task("evaluate_molecules")
    words = (
        "--training train.sdf --valences sulphur-246 --bonds rule --no-baselines --xtb --no-posebusters "
        "--posebusters-limit 9 --limit 7 --workers 3 --timeout 5 --bootstrap 0 --seed 4 --overwrite -o out"
    )
    assert eqcli("evaluate", "gen.extxyz", "--reference", "test.sdf", *words.split()).code == 0
    ((args, kwargs),) = calls
    assert args[2] == Path("out")
    kwargs.pop("report")
    assert kwargs == {
        "training": Path("train.sdf"), "valences": "sulphur-246", "bonds": "rule", "baselines": False, "xtb": True,
        "posebusters": False, "posebusters_limit": 9, "limit": 7, "workers": 3, "timeout": 5.0, "bootstrap": 0,
        "seed": 4, "overwrite": True,
    }  # fmt: skip


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gen.extxyz --reference t.sdf --k 1,20 --relaxer ase:a.b:C", "--k, --relaxer: for generated crystals"),
        ("salt.extxyz --reference t.csv --bonds own --xtb", "--bonds, --xtb: for generated molecules"),
        ("gen.extxyz --reference t.sdf --model-arg a=1", "--model-arg: for the relaxer of crystals"),
        ("gen.extxyz --reference t.sdf --audit all", "--audit: for the evaluation of a model"),
        ("absent.sdf --reference gen.extxyz --bonds rule", "no such file"),
        ("gen.extxyz salt.extxyz --reference gen.extxyz", "1 of 2 structures have a cell"),
        ("salt.extxyz gen.extxyz --reference salt.extxyz", "1 of 2 structures have a cell"),
        ("gen.extxyz --reference salt.extxyz", "these are crystals"),
        ("gen.extxyz --reference gen.extxyz --bonds own", "no molecule of this file states its bonds"),
        ("m.safetensors --posebusters-limit 3", "--posebusters-limit: for generated crystals or molecules"),
    ],
)
def test_what_does_not_belong_is_refused(eqcli: Run, words: str, said: str) -> None:
    ended = eqcli("evaluate", *words.split())
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
