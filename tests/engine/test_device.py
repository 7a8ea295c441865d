"""Devices, precisions and threads."""

from __future__ import annotations

import pytest
import torch

from eqcli.engine.device import choose_device, precision_name, threads_for
from eqcli.errors import InputError


def test_the_cpu_can_be_chosen_and_nonsense_is_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="unknown device 'gpu9'"):
        choose_device("gpu9")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is usable here")
def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="no CUDA device"):
        choose_device("cuda")


def test_precisions_have_names() -> None:
    assert precision_name(torch.float64) == "float64"


@pytest.mark.parametrize(("edges", "expected"), [(0, 1), (500, 1), (700, 2), (10**6, 3)])
def test_threads_follow_the_size_of_the_batch_and_come_back(edges: int, expected: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_for(edges):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
