"""Adapters to libraries that may be missing: cuEquivariance on a CPU, OpenEquivariance by a stand-in."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from e3nn.o3 import Irreps, TensorProduct
from torch import Tensor

from eqcli.geometry.irreps import from_e3nn, to_e3nn
from eqcli.nn import openequivariance_message
from eqcli.nn.convolution import natural_form
from eqcli.nn.cuequivariance_message import CuequivarianceMaps, cuequivariance_missing
from eqcli.nn.message_maps import MessageEdges, MessageForm
from eqcli.nn.openequivariance_message import OpenequivarianceMaps, openequivariance_missing, sorted_both_ways
from tests.nn.message_reference import random_edges
from tests.nn.slow_form import CPU, Case, assert_equal_maps, symmetric_edges

EXACT = 1e-12
DEGREES = [3, 0, 1, 5, 0]
GAPS = MessageForm.grouped([(1, 1, 0, 1, 2, 0), (1, 1, 1, 1, 2, 1), (1, 2, 1, 4, 6, 1)], 9, 12)
"""Paths that leave rows of the features and harmonics unread."""

needs_cuequivariance = pytest.mark.skipif(
    cuequivariance_missing(CPU) is not None, reason=str(cuequivariance_missing(CPU))
)


@needs_cuequivariance
@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("form", [natural_form(1, 2, 1), natural_form(2, 3, 3), GAPS], ids=["L1", "L2", "gaps"])
def test_cuequivariance_equals_the_form_and_its_derivatives(form: MessageForm, channels: int) -> None:
    assert_equal_maps(Case(form, random_edges(DEGREES), channels), CuequivarianceMaps(form), EXACT)


@needs_cuequivariance
def test_cuequivariance_in_single_precision() -> None:
    form = natural_form(1, 2, 1)
    assert_equal_maps(Case(form, random_edges(DEGREES), 4, torch.float32), CuequivarianceMaps(form), 1e-5)


@needs_cuequivariance
@pytest.mark.parametrize("degrees", [[], [0, 0]], ids=["no atoms", "lone atoms"])
def test_cuequivariance_without_edges(degrees: list[int]) -> None:
    form = natural_form(1, 1, 1)
    assert_equal_maps(Case(form, random_edges(degrees), 2), CuequivarianceMaps(form), 0.0)


@dataclass
class Problem:
    """`TPProblem` of OpenEquivariance as its documentation describes it."""

    irreps_in1: Irreps
    irreps_in2: Irreps
    irreps_out: Irreps
    instructions: list[tuple[int, int, int, str, bool]]
    shared_weights: bool
    internal_weights: bool
    irrep_dtype: type
    weight_dtype: type
    layout: str


@dataclass
class Convolution:
    """`TensorProductConv` by e3nn: same arguments, same layout, same demands on the edges."""

    problem: Problem
    deterministic: bool
    product: TensorProduct = field(init=False)

    def __post_init__(self) -> None:
        p = self.problem
        assert p.layout == "ir_mul"
        assert not p.internal_weights
        assert self.deterministic
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)  # e3nn makes its constants in it
        try:
            self.product = TensorProduct(
                p.irreps_in1, p.irreps_in2, p.irreps_out, p.instructions, shared_weights=False, internal_weights=False
            )
        finally:
            torch.set_default_dtype(default)

    def __call__(self, x: Tensor, y: Tensor, w: Tensor, rows: Tensor, cols: Tensor, sender_perm: Tensor) -> Tensor:
        place = rows * len(x) + cols
        assert bool((place[1:] >= place[:-1]).all()), "edges sorted by row and column"
        assert torch.equal(cols[sender_perm], rows), "the order by columns is that of the reverse edges"
        assert torch.equal(rows[sender_perm], cols), "the order by columns is that of the reverse edges"
        assert torch.equal(sender_perm.sort().values, torch.arange(len(rows)))
        messages = self.product(to_e3nn(x, self.problem.irreps_in1)[cols], y, w)
        summed = torch.zeros(len(x), messages.shape[1], dtype=x.dtype).index_add(0, rows, messages)
        return from_e3nn(summed, self.problem.irreps_out)


@pytest.fixture
def openequivariance(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    library: Any = SimpleNamespace(TPProblem=Problem, TensorProductConv=Convolution, Irreps=Irreps)
    monkeypatch.setitem(sys.modules, "openequivariance", library)
    monkeypatch.setattr(openequivariance_message, "openequivariance_missing", lambda device: None)
    openequivariance_message._convolution.cache_clear()
    yield
    openequivariance_message._convolution.cache_clear()


@pytest.mark.usefixtures("openequivariance")
@pytest.mark.parametrize("form", [natural_form(1, 2, 1), natural_form(2, 3, 3), GAPS], ids=["L1", "L2", "gaps"])
def test_openequivariance_is_asked_for_the_form(form: MessageForm) -> None:
    edges = symmetric_edges([2, 0, 1, 3, 0])
    assert_equal_maps(Case(form, edges, 3), OpenequivarianceMaps(form), EXACT)


@pytest.mark.usefixtures("openequivariance")
@pytest.mark.parametrize("degrees", [[], [0, 0]], ids=["no atoms", "lone atoms"])
def test_openequivariance_without_edges(degrees: list[int]) -> None:
    form = natural_form(1, 1, 1)
    assert_equal_maps(Case(form, random_edges(degrees), 2), OpenequivarianceMaps(form), 0.0)


def test_edges_without_reverse_are_refused_for_openequivariance() -> None:
    edges = MessageEdges(torch.tensor([0, 1, 2]), torch.tensor([1, 2, 2]), 3)
    with pytest.raises(ValueError, match="reverse edge"):
        sorted_both_ways(edges)


def test_several_edges_between_two_atoms_have_their_reverse_edges() -> None:
    # Images in a small cell: two bonds 0-1, and atom 1 with its own images.
    sender, receiver = torch.tensor([1, 1, 1, 0, 1, 0]), torch.tensor([0, 0, 1, 1, 1, 1])
    order = sorted_both_ways(MessageEdges(sender, receiver, 2))
    assert order.edges is not None
    assert order.sender.tolist() == [1, 1, 0, 0, 1, 1]
    assert sorted(order.reverse.tolist()) == list(range(6))


@pytest.mark.parametrize(
    ("maps", "package"),
    [(CuequivarianceMaps, "cuequivariance_torch"), (OpenequivarianceMaps, "openequivariance")],
)
def test_a_missing_library_is_named(
    maps: type[CuequivarianceMaps | OpenequivarianceMaps], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    form = natural_form(1, 1, 1)
    case = Case(form, symmetric_edges(DEGREES), 7)
    with pytest.raises(RuntimeError, match="is not installed"):
        maps(form).forward(*case.point[1:], case.edges)


def test_openequivariance_wants_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert openequivariance_missing(torch.device("cuda")) is None
    assert "GPUs" in str(openequivariance_missing(CPU))


def test_cuequivariance_wants_its_operations_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "ops" in name else object())
    assert cuequivariance_missing(CPU) is None
    assert "operations" in str(cuequivariance_missing(torch.device("cuda")))
