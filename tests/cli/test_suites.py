"""`eqcli evaluate --suite`: options become arguments, and what does not belong is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Ended

Run = Callable[..., Ended]
Task = Callable[..., list[tuple[tuple[Any, ...], dict[str, Any]]]]


def test_tensor_products_takes_sizes_and_names(eqcli: Run, task: Task) -> None:
    calls = task("tensor_products")
    words = ("--products", "so2, uvu", "--degrees", "1-3,6", "--rows", "10,20", "--precision", "float64", "-o", "r")
    assert eqcli("evaluate", "--suite", "tensor-products", *words).code == 0
    ((args, kwargs),) = calls
    assert args == (Path("r"),)
    assert kwargs["products"] == ["so2", "uvu"]
    assert kwargs["degrees"] == [1, 2, 3, 6]
    assert kwargs["rows"] == [10, 20]
    assert "channels" not in kwargs
    assert kwargs["precision"] == "float64"


def test_gwl_takes_models_or_none(eqcli: Run, task: Task) -> None:
    calls = task("gwl")
    assert eqcli("evaluate", "--suite", "gwl").code == 0
    assert eqcli("evaluate", "a.safetensors", "b.safetensors", "--suite", "gwl", "--seeds", "3", "-o", "r").code == 0
    assert calls[0][0] == (Path("suite-gwl"), [])
    assert calls[1][0] == (Path("r"), [Path("a.safetensors"), Path("b.safetensors")])
    assert calls[1][1]["seeds"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--suite", "tensor-products", "--rows", "many"), "no whole number"),
        (("--suite", "tensor-products", "--degrees", "3-1"), "ends before it begins"),
        (("--suite", "gwl", "--rows", "3"), "not an option of this suite"),
        (("--suite", "gwl", "--audit", "all"), "exclude each other"),
        (("--suite", "gl"), "is not one of"),
        (("model.safetensors", "--suite", "tensor-products"), "takes no model"),
        (("model.safetensors", "--degrees", "3"), "an option of --suite"),
        ((), "no model was given"),
    ],
)
def test_what_does_not_belong_is_refused(eqcli: Run, words: tuple[str, ...], said: str) -> None:
    ended = eqcli("evaluate", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
