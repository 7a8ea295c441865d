"""The same computation on the CPU and on the pretended device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tests.pretended.device import pretending
from tests.pretended.tensor import OnDevice
from tests.pretended.waits import Waits

ROUNDING = 1e-12
"""What results may differ by, relative to the largest, in float64: some sums have another order on a GPU."""


def assert_same_on_device(
    make: Callable[[], Any], compute: Callable[[Any, torch.device], Sequence[Tensor | None]]
) -> Waits:
    """Holds what `compute` gives of a model on the device to what it gives on the CPU; the waits it had there.

    `compute` gets a model and the device on which its data have to lie.
    """
    torch.manual_seed(1)
    expected = compute(make(), torch.device("cpu"))
    with pretending() as waits:
        torch.manual_seed(1)
        model = make().to("cuda")
        waits.clear()
        found = compute(model, torch.device("cuda"))
        counted = Waits()
        counted.lines.update(waits.lines)
        assert len(found) == len(expected)
        assert all(isinstance(x, OnDevice) or x is None for x in found)
        back = [None if x is None else x.detach().cpu() for x in found]
    for one, other in zip(back, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert_near(one, other.detach())
    return counted


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding, NaN in the same places."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    size = float(expected.double().nan_to_num(0, 0, 0).abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * size, equal_nan=True)


def gradients(model: torch.nn.Module) -> list[Tensor | None]:
    """Those of all parameters."""
    return [parameter.grad for parameter in model.parameters()]
