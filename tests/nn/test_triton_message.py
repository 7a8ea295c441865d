"""The Triton kernels against the form itself: on numpy arrays always, by Triton where it is installed.

Where there is no GPU, Triton interprets its kernels. It decides on that at import, so one test runs the others
again in a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from eqcli.nn import triton_message
from eqcli.nn.convolution import natural_form
from eqcli.nn.message_maps import MessageForm
from eqcli.nn.plain_message import PlainMaps
from eqcli.nn.triton_kernels import SUM_BY_SENDER, triton_function
from eqcli.nn.triton_message import TritonMaps, interpreted, triton_missing
from eqcli.nn.triton_source import backward_source, forward_source
from eqcli.nn.triton_text import path_groups
from tests.nn.message_reference import random_edges
from tests.nn.numpy_triton import Launcher
from tests.nn.slow_form import Case, assert_equal_maps

EXACT = 1e-12
SINGLE = 1e-5
CPU = torch.device("cpu")
DEGREES = [3, 0, 1, 5, 0]
"""Neighbours of each atom: uneven, two atoms alone."""

GAPS = MessageForm.grouped([(1, 1, 0, 1, 2, 0), (1, 1, 1, 1, 2, 1), (1, 2, 1, 4, 6, 1)], 9, 12)
"""Paths that leave rows of the features and harmonics unread."""


GPU = torch.device("cuda")
TRITON = GPU if torch.cuda.is_available() else CPU
"""Where Triton is tried."""

RUNNERS = ["triton"] if interpreted() else ["numpy", *(["triton"] if triton_missing(TRITON) is None else [])]


@pytest.fixture(params=RUNNERS)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Where the kernels of a test are carried out, by what the parameter names."""
    if request.param == "numpy":
        monkeypatch.setattr(triton_message, "triton_function", Launcher)
        monkeypatch.setattr(triton_message, "triton_missing", lambda device: None)
    triton_message._kernels.cache_clear()
    yield CPU if request.param == "numpy" else TRITON
    triton_message._kernels.cache_clear()


@pytest.mark.parametrize(
    ("form", "channels"),
    [(natural_form(1, 1, 1), 32), (natural_form(1, 2, 1), 33), (natural_form(2, 3, 3), 5), (natural_form(2, 2, 2), 1)],
    ids=["L1-32", "L1-33", "L2-5", "L2-1"],
)
def test_equal_the_form_and_its_derivatives(form: MessageForm, channels: int, device: torch.device) -> None:
    assert_equal_maps(Case(form, random_edges(DEGREES), channels), TritonMaps(form), EXACT, device)


@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize("form", [natural_form(2, 1, 2), GAPS], ids=["L2", "gaps"])
def test_any_sharing_of_paths_and_channels_will_do(form: MessageForm, rows: int, device: torch.device) -> None:
    maps = TritonMaps(form, lanes=2, row_bytes=8 * rows)
    assert_equal_maps(Case(form, random_edges([2, 0, 3]), 3), maps, EXACT, device)


def test_in_single_precision(device: torch.device) -> None:
    form = natural_form(2, 2, 2)
    assert_equal_maps(Case(form, random_edges(DEGREES), 4, torch.float32), TritonMaps(form), SINGLE, device)


@pytest.mark.parametrize("degrees", [[], [0, 0]], ids=["no atoms", "lone atoms"])
def test_graphs_without_edges_have_zeros_of_the_right_shapes(degrees: list[int], device: torch.device) -> None:
    form = natural_form(1, 1, 1)
    case = Case(form, random_edges(degrees), 3)
    assert_equal_maps(case, TritonMaps(form), 0.0, device)


def test_the_same_numbers_on_every_call(device: torch.device) -> None:
    form = natural_form(1, 2, 1)
    case, maps = Case(form, random_edges(DEGREES), 5, torch.float32), TritonMaps(form)
    for first, again in zip(case.found(maps, device), case.found(maps, device), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))


@pytest.mark.skipif(interpreted(), reason="the interpreter is slow")
def test_equal_the_plain_path_on_a_larger_graph(device: torch.device) -> None:
    form = natural_form(2, 3, 3)
    case = Case(form, random_edges([20, 0, 7, 1, 0, 12]), 40)
    for found, expected in zip(case.found(TritonMaps(form), device), case.found(PlainMaps(form)), strict=True):
        for x, y in zip(found, expected, strict=True):
            assert float((x - y).abs().max()) <= EXACT * float(y.abs().max())


def test_refuses_what_kernels_would_misread(device: torch.device) -> None:
    form = natural_form(1, 1, 1)
    case, maps = Case(form, random_edges(DEGREES), 4), TritonMaps(form)
    _, h, w, y = case.point
    with pytest.raises(TypeError, match="float32 and float64"):
        maps.forward(h.half(), w.half(), y.half(), case.edges)
    with pytest.raises(ValueError, match="one precision"):
        maps.forward(h.float(), w, y, case.edges)
    with pytest.raises(ValueError, match="contiguous"):
        maps.forward(h.transpose(1, 2).contiguous().transpose(1, 2), w, y, case.edges)


@pytest.mark.parametrize("budget", [1, 7, 20, 1000])
@pytest.mark.parametrize("form", [natural_form(2, 3, 3), GAPS], ids=["L2", "gaps"])
def test_groups_hold_every_path_once_and_start_every_row_once(form: MessageForm, budget: int) -> None:
    groups = path_groups(form, budget)
    assert sorted(p for group in groups for p in group.indices) == list(range(len(form.paths)))
    for group in groups:
        assert len(group.indices) == 1 or sum(2 * form.paths[p].l3 + 1 for p in group.indices) <= budget
    starts = [row for group in groups for row in (*set(group.rows_in) - group.started, *group.untouched)]
    assert sorted(starts) == list(range(form.rows_in))


def test_says_why_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    triton_message._kernels.cache_clear()
    form = natural_form(1, 1, 1)
    case = Case(form, random_edges(DEGREES), 2)
    with pytest.raises(RuntimeError, match=r"not installed|run on GPUs"):
        TritonMaps(form).forward(*case.point[1:], case.edges)


@pytest.mark.slow
@pytest.mark.skipif(interpreted(), reason="this is the process that interprets")
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the package triton is not installed")
def test_in_the_interpreter_of_triton() -> None:
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.skipif(interpreted(), reason="the interpreter compiles nothing")
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the package triton is not installed")
def test_compiles_for_gpus(dtype: str, capability: int) -> None:
    """Down to machine code, with the assembler that Triton brings; no GPU is needed."""
    form = natural_form(1, 3, 1)
    (group,) = path_groups(form, 72)
    sources = [make(form, group, second) for make in (forward_source, backward_source) for second in (False, True)]
    for source in [*sources, SUM_BY_SENDER]:
        assert len(machine_code(source, dtype, capability)) > 1000


def machine_code(source: str, dtype: str, capability: int) -> bytes:
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = triton_function(source)
    constants = {name: 32 for name in ("channels", "BLOCK") if name in function.arg_names}
    types = dict.fromkeys(function.arg_names, f"*{dtype}")
    types |= dict.fromkeys({"sender", "pointer", "by_sender"} & set(types), "*i64")
    types |= dict.fromkeys({"edges", "width"} & set(types), "i32")
    types |= dict.fromkeys(constants, "constexpr")
    target = GPUTarget("cuda", capability, 32)
    compiled: Any = compile_kernel(ASTSource(function, types, constants), target=target, options={"num_warps": 1})
    code: bytes = compiled.asm["cubin"]
    return code
