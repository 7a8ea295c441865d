"""The device that is there for as long as it is pretended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.pretended.rules import DEVICE, Generator
from tests.pretended.tensor import META, OnDevice, dispatch
from tests.pretended.waits import WAITS, Waits

FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor}
INDEXED = {Tensor.__getitem__, Tensor.__setitem__}
GIBIBYTES = 2**30


@contextmanager
def pretending() -> Iterator[Waits]:
    """One CUDA device is there for as long as this lasts; its waits are counted from zero."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _cuda().items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch, "Generator", Generator)
        # In inference mode torch leaves out the steps in which operations become those that `dispatch` knows.
        patch.setattr(torch, "inference_mode", torch.no_grad)
        # A parameter that is moved stays the object that optimisers know, as it does with real devices.
        torch.__future__.set_swap_module_params_on_conversion(True)
        WAITS.clear()
        try:
            with Renamed(), Redirected():
                yield WAITS
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)


class Redirected(TorchDispatchMode):
    """Sends all operations through `dispatch`, so that tensors are made on the device that is asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


class Renamed(TorchFunctionMode):
    """Says `meta` to torch where a caller says `cuda`, and does what torch does not do for meta tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        kwargs = {name: _renamed(value) for name, value in (kwargs or {}).items()}
        args = tuple(_renamed(a) for a in args)
        if func in FROM_DATA:
            return _from_data(func, args, kwargs)
        if func is Tensor.cuda:
            return args[0].to(META)
        if func in INDEXED and isinstance(args[0], OnDevice):
            return func(args[0], _listed(args[1]), *args[2:])
        return func(*args, **kwargs)


def _renamed(x: Any) -> Any:
    """`meta` in place of a CUDA device or its name."""
    if isinstance(x, torch.device):
        return META if x.type == "cuda" else x
    return META if isinstance(x, str) and x.split(":")[0] == "cuda" else x


def _from_data(func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
    """A tensor of given numbers, made on the CPU and moved: torch makes those on meta without looking at numbers."""
    if func is Tensor.new_tensor:
        given, *args = args
        func, kwargs = torch.tensor, {"dtype": given.dtype, "device": _renamed(given.device), **kwargs}
    device, data = kwargs.pop("device", None), args[0]
    wanted = kwargs.pop("requires_grad", False)
    if isinstance(data, OnDevice):
        made = data.detach().clone() if func is torch.tensor else data
        made = made if kwargs.get("dtype") is None else made.to(kwargs["dtype"])
    else:
        made = func(*args, **kwargs)
    made = made if device is None else made.to(device)
    return made.requires_grad_() if wanted else made


def _listed(index: Any) -> Any:
    """An index whose lists of numbers are tensors, which have to reach the device first."""
    if isinstance(index, tuple):
        return tuple(_listed(i) for i in index)
    if isinstance(index, list | np.ndarray | range):
        return torch.as_tensor(np.asarray(index)).to(META)
    return index


def _cuda() -> dict[str, Callable[..., Any]]:
    """What `torch.cuda` says and does of one device, as far as it is asked."""
    return {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: DEVICE.index,
        "set_device": lambda device: None,
        "get_device_name": lambda device=None: "pretended",
        "get_device_capability": lambda device=None: (9, 0),
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda device=None: (8 * GIBIBYTES, 8 * GIBIBYTES),
        "memory_allocated": lambda device=None: 0,
        "memory_reserved": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: GIBIBYTES // 1024,
        "reset_peak_memory_stats": lambda device=None: None,
        "manual_seed_all": lambda seed: None,
        "get_rng_state": lambda device=DEVICE: torch.get_rng_state(),
        "set_rng_state": lambda state, device=DEVICE: torch.set_rng_state(state),
    }
