from __future__ import annotations

import pytest
import torch

from eqcli.nn.convolution import natural_form
from eqcli.nn.message_cost import device_copy_bandwidth, message_cost
from eqcli.nn.plain_message import PlainMaps
from tests.nn.message_reference import random_edges
from tests.nn.slow_form import CPU, Case


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bytes_are_those_of_arguments_and_results(dtype: torch.dtype) -> None:
    form, edges, channels = natural_form(2, 3, 2), random_edges([4, 0, 3, 1]), 5
    case = Case(form, edges, channels, dtype)
    first, second = case.found(PlainMaps(form))
    receivers = [edges.sender, edges.receiver_pointer]
    senders = [edges.by_sender, edges.sender_pointer]
    calls = [
        [*case.point[1:], first[0], *receivers],
        [*case.point, *first[1:], *receivers, *senders],
        [*case.point, *case.along, *second, *receivers, *senders],
    ]
    for order, tensors in enumerate(calls):
        cost = message_cost(form, edges.n_atoms, len(edges.sender), channels, dtype, order)
        assert cost.bytes == sum(x.nbytes for x in tensors)


def test_multiply_adds_of_one_scalar_path() -> None:
    # G = C Y once per edge; then w h and G (w h) for each channel.
    assert message_cost(natural_form(0, 0, 0), 1, 10, 7, torch.float32, 0).multiply_adds == 10 * (1 + 2 * 7)


def test_more_derivatives_cost_more() -> None:
    costs = [message_cost(natural_form(2, 3, 3), 100, 2000, 128, torch.float32, order) for order in range(3)]
    assert costs[0].bytes < costs[1].bytes < costs[2].bytes
    assert costs[0].multiply_adds < costs[1].multiply_adds < costs[2].multiply_adds


def test_bandwidth_counts_reading_and_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.nn.message_cost._seconds", lambda call: 0.5)
    assert device_copy_bandwidth(CPU, size=1000, repeats=3) == 4000.0
