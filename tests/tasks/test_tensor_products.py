"""The comparison of tensor products as a task."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.engine.memory_limit import Limit
from eqcli.errors import ExitCode, InputError
from eqcli.geometry.irreps import natural, to_e3nn
from eqcli.geometry.products.base import Explanation, Product
from eqcli.geometry.products.family import PRODUCTS, ProductKind
from eqcli.tasks import tensor_product_cells
from eqcli.tasks.tensor_product_cells import passes
from eqcli.tasks.tensor_product_peers import SAME, e3nn_peer
from eqcli.tasks.tensor_product_result import PASSES, Measurement, TensorProductResult
from eqcli.tasks.tensor_products import tensor_products
from tests.listener import Listener

SMALL: dict[str, Any] = {"degrees": (1, 2, 3), "channels": (2,), "rows": (4,), "threads": 1, "expressivity": False}


class Scaled(Product):
    """x times the first number of y: a product whose figures are known."""

    name = "scaled"

    def __init__(self, lmax: int, channels: int, fault: Exception | None = None) -> None:
        super().__init__()
        self.irreps_in1 = self.irreps_in2 = self.irreps_out = natural(lmax, channels)
        self.lmax, self.fault = lmax, fault

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        if self.fault:
            raise self.fault
        return x * y[..., :1]

    def explain(self) -> Explanation:
        work = 1000 * self.lmax**4
        return Explanation("scaled", "", "", "", multiply_adds=work, bytes=self.moved_bytes())


def build(lmax: int, channels: int) -> Scaled:
    return Scaled(lmax, channels)


def build_faulty(lmax: int, channels: int) -> Scaled:
    return Scaled(lmax, channels, RuntimeError("no such kernel") if lmax == 2 else None)


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRODUCTS, "scaled", ProductKind(__name__, "build", ""))
    monkeypatch.setitem(PRODUCTS, "faulty", ProductKind(__name__, "build_faulty", ""))


def test_writes_page_plots_table_and_data(tmp_path: Path) -> None:
    listener = Listener()
    names = ["uuu", "gaunt-grid"]
    result = tensor_products(tmp_path / "report", products=names, report=listener, **SMALL)
    assert result.exit_code == ExitCode.OK
    assert listener.count == 6
    assert [(m.product, m.lmax, m.step) for m in result.measurements] == [
        (name, lmax, step) for name in names for lmax in (1, 2, 3) for step in PASSES
    ]
    for m in result.measurements:
        assert m.peer == "TensorProduct, uuu"
        assert m.same_function == (m.product == "uuu")
        assert min(m.seconds, m.peak_bytes, m.peer_seconds or 0, m.peer_peak_bytes or 0) > 0
        assert (m.gflops is not None) == (m.step == "forward")
    content = json.loads(result.report_json.read_text("utf-8"))
    assert len(content["measurements"]) == 18
    assert content["settings"]["channels"] == [2]
    assert len(list(csv.DictReader((tmp_path / "report" / "table.csv").open()))) == 18
    drawn = {path.name for path in (tmp_path / "report" / "plots").iterdir()}
    assert {f"time-{step.replace(' ', '-')}.svg" for step in PASSES} <= drawn
    assert {"ratio-to-e3nn.svg", "memory-to-e3nn.png"} <= drawn
    page = result.report_html.read_text("utf-8")
    assert "gaunt-grid" in page
    assert "nearest" in page


@pytest.mark.parametrize("name", SAME)
def test_the_peer_of_the_same_function_has_the_same_shape(name: str) -> None:
    product = PRODUCTS[name].build(2, 3)
    peer = e3nn_peer(name, product)
    assert peer.same
    assert (peer.irreps_in1, peer.irreps_in2, peer.irreps_out) == (
        product.irreps_in1,
        product.irreps_in2,
        product.irreps_out,
    )
    assert peer.weight_numel == product.weight_numel


def test_the_peer_of_the_full_product_gives_the_same_numbers() -> None:
    product = PRODUCTS["full"].build(2, 2).double()
    peer = e3nn_peer("full", product)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 3, product.irreps_in1.dim, dtype=torch.float64, generator=generator)
    theirs = peer.module.double()(to_e3nn(x, product.irreps_in1), to_e3nn(y, product.irreps_in2))
    # e3nn rounds its coefficients to float32, whatever the precision of the module.
    torch.testing.assert_close(to_e3nn(product(x, y), product.irreps_out), theirs, rtol=0, atol=1e-6)


def test_passes_differentiate_as_often_as_they_say() -> None:
    calls: list[tuple[bool, bool]] = []

    def cube(x: Tensor, y: Tensor) -> Tensor:
        calls.append((torch.is_grad_enabled(), x.requires_grad))
        return x**3 * y

    x, y = torch.tensor([2.0]), torch.tensor([1.0])
    made = passes(cube, [x, y], torch.ones(1))
    for step in PASSES:
        made[step]()
    assert calls == [(False, True), (True, True), (True, True)]


def test_a_product_that_fails_is_a_row_and_the_others_go_on(tmp_path: Path, stand_ins: None) -> None:
    result = tensor_products(tmp_path / "report", products=["faulty", "scaled"], peer=False, **SMALL)
    assert result.exit_code == ExitCode.PARTIAL
    (failure,) = result.failures
    assert failure.item == "faulty, eqcli, L = 2, 2 channels, 4 rows, forward"
    assert failure.reason == "RuntimeError: no such kernel"
    assert {(m.product, m.lmax) for m in result.measurements} == {("faulty", 1), *(("scaled", k) for k in (1, 2, 3))}
    assert "no such kernel" in result.report_html.read_text("utf-8")
    assert dict(result.summary())["failed"] == "1 item"


def test_what_runs_over_its_budget_is_left_out_from_there_on(
    tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.1, 0.1, 0.1, 0.1, 9.0, 8.0])
    monkeypatch.setattr(tensor_product_cells, "seconds_once", lambda action, device: next(times, 0.1))
    monkeypatch.setattr(tensor_product_cells, "median_seconds", lambda actions, *_, **__: [0.1] * len(actions))
    result = tensor_products(tmp_path / "report", products=["scaled"], peer=False, budget_s=5.0, **SMALL)
    assert [(m.lmax, m.step) for m in result.measurements] == [
        *((1, step) for step in PASSES),
        (2, "forward"),
        (3, "forward"),
    ]
    (failure,) = result.failures
    assert "L = 2, 2 channels, 4 rows, gradient" in failure.item
    assert failure.reason.startswith("one call took 8 s, more than the budget of 5 s")


def test_what_would_surely_take_too_long_is_not_begun(
    tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_product_cells, "median_seconds", lambda actions, *_, **__: [0.1] * len(actions))
    # 0.1 s at L = 1 and work as the fourth power of L: 25.6 s at L = 4.
    result = tensor_products(
        tmp_path / "report", products=["scaled"], peer=False, budget_s=5.0, **SMALL | {"degrees": (1, 4)}
    )
    assert {m.lmax for m in result.measurements} == {1}
    assert result.failures[0].reason == "one call would take about 26 s; it and higher degrees are left out"
    assert len(result.failures) == 1


def test_what_needs_too_much_memory_is_not_begun(
    tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_product_cells, "memory_limit", lambda device: Limit(1000, "a test"))
    result = tensor_products(tmp_path / "report", products=["scaled"], peer=False, **SMALL)
    assert not result.measurements
    assert "GB of memory" in result.failures[0].reason
    assert "What each product costs" in result.report_html.read_text("utf-8")


def test_exponents_are_those_of_the_upper_half() -> None:
    def measured(lmax: int, seconds: float) -> Measurement:
        return Measurement("p", lmax, 4, 10, "forward", seconds, 1, (lmax + 1) ** 6, 0)

    # A fixed cost hides the power at low degrees.
    times = [measured(lmax, max(1.0, 1e-3 * (lmax + 1) ** 5)) for lmax in range(1, 9)]
    result = TensorProductResult(Path(), Path(), Path(), measurements=times)
    (exponent,) = result.exponents
    assert exponent.degrees == [5, 6, 7, 8]
    assert exponent.time == pytest.approx(5.0)
    assert exponent.multiply_adds == pytest.approx(6.0)
    assert TensorProductResult(Path(), Path(), Path(), measurements=times[:2]).exponents == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"products": ["gaunt-gird"]}, "Did you mean 'gaunt-grid'?"),
        ({"products": []}, "no tensor product was named"),
        ({"degrees": (0, 1)}, "degrees must be between 1 and 12, got 0"),
        ({"degrees": (1, 40)}, "got 40"),
        ({"channels": ()}, "no channels were given"),
        ({"rows": (0,)}, "rows must be 1 or more, got 0"),
        ({"budget_s": 0.0}, "above 0 s, got 0"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"device": "tpu9"}, "unknown device 'tpu9'"),
        ({"threads": 0}, "threads must be 1 or more, got 0"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        tensor_products(tmp_path / "report", **SMALL | changed)
    assert words in str(caught.value)
    assert not (tmp_path / "report").exists()


def test_an_existing_report_is_kept(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        tensor_products(tmp_path / "report", **SMALL)


def test_threads_are_as_before_afterwards(tmp_path: Path, stand_ins: None) -> None:
    before = torch.get_num_threads()
    result = tensor_products(tmp_path / "report", products=["scaled"], peer=False, **SMALL | {"threads": before + 1})
    assert torch.get_num_threads() == before
    assert result.settings["threads"] == before + 1
