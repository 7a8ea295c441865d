"""Measures of time and memory."""

from __future__ import annotations

import time

import pytest
import torch

from eqcli.metrics.cost import median_seconds, peak_bytes, seconds_once

CPU = torch.device("cpu")
MIB = 1 << 20


def allocate(*sizes: int) -> list[torch.Tensor]:
    return [torch.empty(size, dtype=torch.uint8) for size in sizes]


def test_peak_of_tensors_alive_together() -> None:
    kept = allocate(5 * MIB)

    def one_after_the_other() -> None:
        for _ in range(4):
            allocate(MIB)

    assert peak_bytes(one_after_the_other, CPU) == MIB
    assert peak_bytes(lambda: allocate(MIB, MIB, 2 * MIB), CPU) == 4 * MIB
    assert peak_bytes(lambda: None, CPU) == 0
    assert len(kept) == 1


def test_peak_counts_what_the_backward_pass_keeps() -> None:
    x = torch.zeros(MIB // 4, requires_grad=True)
    without = peak_bytes(lambda: x.detach().exp().exp().sum(), CPU)
    with_graph = peak_bytes(lambda: x.exp().exp().sum(), CPU)
    assert without == pytest.approx(2 * MIB, rel=0.01)
    assert with_graph == pytest.approx(2 * MIB, rel=0.01)
    chain = peak_bytes(lambda: x.exp().exp().exp().exp().sum(), CPU)
    assert chain == pytest.approx(4 * MIB, rel=0.01)


def test_the_profiler_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    peak_bytes(lambda: None, CPU)
    assert capfd.readouterr() == ("", "")


def test_medians_of_actions_that_take_turns() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("a")
        time.sleep(0.02)

    medians = median_seconds([slow, lambda: order.append("b")], CPU, budget_s=0.0, least=3)
    assert order == ["a", "b"] * 3
    assert medians[0] > 0.019
    assert seconds_once(lambda: time.sleep(0.01), CPU) > 0.009


def test_never_more_rounds_than_asked() -> None:
    order: list[int] = []
    median_seconds([lambda: order.append(1)], CPU, budget_s=60.0, most=4)
    assert len(order) == 4
