"""That the pretended device refuses what CUDA refuses, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.pretended.tensor import OnDevice
from tests.pretended.waits import Waits

REFUSED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "a sum": lambda there, here: there + here,
    "a product of matrices": lambda there, here: there.diag() @ here,
    "one tensor of both": lambda there, here: torch.cat([there, here]),
    "an index of the device": lambda there, here: here[there.long()],
    "rows by an index of the CPU": lambda there, here: there.index_select(0, here.long()),
    "a sum into rows by an index of the CPU": lambda there, here: there.index_add(0, here.long(), there),
    "a sum in place": lambda there, here: here.add_(there),
    "a choice": lambda there, here: torch.where(here > 0, there, there),
    "a scalar of the device": lambda there, here: here + there.sum(),
    "values for a part": lambda there, here: there.__setitem__(slice(2), here[:2]) or there[:2] + here[:2],
    "a scalar of the CPU that is not elementwise": lambda there, here: torch.stack([there[0], here[0]]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_lies_on_two_devices(device: Waits, what: str) -> None:
    there, here = torch.tensor([0.0, 1.0, 2.0], device="cuda"), torch.tensor([0.0, 1.0, 2.0])
    with pytest.raises(RuntimeError, match="device"):
        REFUSED[what](there, here)


def test_what_may_lie_on_two_devices(device: Waits) -> None:
    x = torch.arange(3.0, device="cuda")
    assert (x + torch.tensor(2.0)).tolist() == [2.0, 3.0, 4.0]
    assert x[torch.tensor([2, 0])].tolist() == [2.0, 0.0]
    assert torch.where(x > 0, x, torch.tensor(7.0)).tolist() == [7.0, 1.0, 2.0]
    x[torch.tensor([1])] = torch.tensor(5.0)
    x[:1] = torch.tensor([8.0])
    assert x.tolist() == [8.0, 5.0, 2.0]
    assert torch.ones(3).copy_(x).device.type == "cpu"


def test_memory_of_the_device_is_no_memory_of_the_host(device: Waits) -> None:
    x = torch.ones(2, device="cuda")
    for look in (x.numpy, x.data_ptr, x.__array__):
        with pytest.raises((TypeError, RuntimeError)):
            look()


def test_generators_belong_to_a_device(device: Waits) -> None:
    torch.randn(2, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
    torch.randn(2, generator=torch.Generator().manual_seed(1))
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(2, device="cuda", generator=torch.Generator())
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(2, generator=torch.Generator("cuda"))


def test_tensors_are_made_where_they_are_asked_for(device: Waits) -> None:
    x = torch.zeros(3, device="cuda")
    made = [
        torch.tensor([1.0], device=x.device),
        torch.as_tensor([1.0], device="cuda:0"),
        x.new_tensor([1.0]),
        x.new_ones(1),
        torch.ones_like(x),
        torch.eye(3, device=x.device),
        torch.arange(3, device="cuda"),
        torch.ones(2).to("cuda"),
        torch.ones(2).to(x),
        torch.ones(2).cuda(),
        x[[0, 2]],
    ]
    assert all(isinstance(one, OnDevice) and one.device == torch.device("cuda", 0) and one.is_cuda for one in made)
    assert [float(one.sum()) for one in made[:3]] == [1.0, 1.0, 1.0]
    assert x.cpu().device.type == torch.ones(2).device.type == "cpu"


def test_gradients_cross_and_parameters_stay_themselves(device: Waits) -> None:
    x = torch.ones(2, requires_grad=True)
    layer = torch.nn.Linear(2, 2)
    weight = layer.weight
    optimiser = torch.optim.Adam(layer.parameters())
    layer.to("cuda")
    assert layer.weight is weight
    assert weight.is_cuda
    layer(x.to("cuda")).square().sum().backward()
    assert x.grad is not None
    assert x.grad.device.type == "cpu"
    before = weight.tolist()
    optimiser.step()
    assert weight.tolist() != before
    twin = copy.deepcopy(layer)
    assert twin.weight.is_cuda
    assert isinstance(twin.weight, torch.nn.Parameter)
    assert twin.weight.tolist() == weight.tolist()


def test_waits_are_counted(device: Waits) -> None:
    x = torch.arange(4.0, device="cuda")
    y = x * 2 + 1
    y[1] = 3.0
    y.index_add_(0, x.long(), x).sort()
    torch.repeat_interleave(x.long(), output_size=6)
    assert device.total == 0
    for wait in (
        lambda: bool(y.sum() > 0),
        lambda: float(y[0]),
        y.tolist,
        y.cpu,
        lambda: y[y > 1],
        lambda: y[[0, 1]],
        lambda: torch.tensor([1.0], device="cuda"),
        lambda: torch.repeat_interleave(x.long()),
        y.nonzero,
        y.unique,
    ):
        device.clear()
        wait()
        assert device.total == 1
