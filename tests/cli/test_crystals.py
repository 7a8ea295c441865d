"""`eqcli evaluate --reference`: options become arguments, and options of the two kinds of evaluation do not mix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Ended

Run = Callable[..., Ended]
Task = Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]


def test_files_and_reference_alone(eqcli: Run, task: Task) -> None:
    calls = task("evaluate_crystals")
    assert eqcli("evaluate", "a/gen.h5", "b.cif.zip", "--reference", "test.csv").code == 0
    ((args, kwargs),) = calls
    assert args == ([Path("a/gen.h5"), Path("b.cif.zip")], Path("test.csv"), Path("a/evaluation-gen"))
    assert kwargs["baselines"] is True
    assert {"tolerances", "ks", "fingerprint", "limit", "relaxer"}.isdisjoint(kwargs)


def test_every_option_arrives(eqcli: Run, task: Task) -> None:
    calls = task("evaluate_crystals")
    words = (
        "--training train.csv --tolerances strict --k 20,1 --no-baselines --fingerprint crystalnn "
        "--coverage-cutoffs 0.4,10 --workers 3 --timeout 5 --bootstrap 0 --limit 7 --relaxer ase:a.b:C --hull x.h5 "
        "--hull y.h5 --hull-threshold 0 --model-arg n=2 --seed 4 --overwrite -o out"
    )
    assert eqcli("evaluate", "gen.h5", "--reference", "test.csv", *words.split()).code == 0
    ((args, kwargs),) = calls
    assert args[2] == Path("out")
    kwargs.pop("report")
    assert kwargs == {
        "training": Path("train.csv"), "tolerances": "strict", "ks": [1, 20], "baselines": False,
        "fingerprint": "crystalnn", "coverage_cutoffs": (0.4, 10.0), "workers": 3, "timeout": 5.0, "bootstrap": 0,
        "limit": 7, "relaxer": "ase:a.b:C", "hull": [Path("x.h5"), Path("y.h5")], "hull_threshold": 0.0,
        "relaxer_arguments": {"n": 2}, "seed": 4, "overwrite": True, "device": "auto",
    }  # fmt: skip


def test_published_cutoffs_go_by_name(eqcli: Run, task: Task) -> None:
    calls = task("evaluate_crystals")
    assert eqcli("evaluate", "gen.h5", "--reference", "t.csv", "--coverage-cutoffs", "mp_20").code == 0
    assert calls[0][1]["coverage_cutoffs"] == "mp_20"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gen.h5 --reference t.csv --audit all", "--audit: for the evaluation of a model"),
        ("gen.h5 --reference t.csv --no-audit --dataset x", "--no-audit, --dataset: for the evaluation of a model"),
        ("gen.h5 --reference t.csv --suite gwl", "--suite: for the evaluation of a model"),
        ("gen.h5 --reference t.csv --energy-unit kcal/mol", "options of labels: for the evaluation of a model"),
        ("gen.h5 --reference t.csv --model-arg a=1", "--model-arg is for the relaxer here"),
        ("gen.h5 --reference t.csv --coverage-cutoffs 1,x", "is not two numbers"),
        ("gen.h5 --reference t.csv --k 1,few", "'few' is no whole number"),
        ("--reference t.csv", "no file of generated structures was given"),
        ("m.safetensors --training t.csv --no-baselines", "--training, --no-baselines: for generated crystals"),
        ("m.safetensors d.xyz --limit 5 --hull-threshold 0", "--limit, --hull-threshold: for generated crystals"),
    ],
)
def test_what_does_not_belong_is_refused(eqcli: Run, words: str, said: str) -> None:
    ended = eqcli("evaluate", *words.split())
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
