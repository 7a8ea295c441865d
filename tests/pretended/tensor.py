"""Tensors that claim to lie on the device, and operations on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tests.pretended.rules import CPU, DEVICE, place_of, require_generator
from tests.pretended.waits import WAITS

META = torch.device("meta")
"""Where these tensors lie to torch's own code: autograd asks nothing else of a device, and it has no kernels."""


class OnDevice(Tensor):
    """A tensor that claims to lie on the device; `inner` holds its data on the CPU."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor, requires_grad: bool = False) -> OnDevice:
        """A claim around `inner`, of its shape, strides and type."""
        made: OnDevice = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=META,
            requires_grad=requires_grad,
        )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device it claims."""
        return DEVICE

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """Always."""
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        """Never."""
        return False

    def get_device(self) -> int:
        """The number of the device."""
        return 0

    def is_pinned(self, device: object = None) -> bool:
        """Never."""
        return False

    def numpy(self, *, force: bool = False) -> Any:
        """TypeError, unless a copy is asked for."""
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return self.detach().cpu().numpy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        """Its numbers, after a copy to the CPU."""
        return self.detach().cpu().tolist()

    def data_ptr(self) -> int:
        """RuntimeError: nothing of this process may read there."""
        raise RuntimeError("the memory of a tensor on the device is no memory of this process")

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnDevice({self.inner!r})"

    def __reduce_ex__(self, protocol: object) -> Any:
        return _again, (self.detach().inner, self.requires_grad, isinstance(self, torch.nn.Parameter))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            parameter = isinstance(self, torch.nn.Parameter)
            memo[id(self)] = _again(self.detach().inner.clone(), self.requires_grad, parameter)
        return memo[id(self)]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


def _again(inner: Tensor, requires_grad: bool, parameter: bool) -> Tensor:
    """A claim that has been copied or read back."""
    return torch.nn.Parameter(OnDevice(inner), requires_grad) if parameter else OnDevice(inner, requires_grad)


def dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on the data of its arguments, refused where CUDA refuses it; its result claims its device."""
    here = place_of(func, args, kwargs)
    asked = kwargs.get("device")
    there = here if asked is None else _claimed(asked)
    require_generator(kwargs.get("generator"), there)
    WAITS.note(func, args, kwargs, here, there)
    plain_args, plain_kwargs = tree_map(lambda x: x.inner if isinstance(x, OnDevice) else x, (args, kwargs))
    if asked is not None:
        plain_kwargs["device"] = CPU if there == DEVICE else there
    if plain_kwargs.get("pin_memory"):
        plain_kwargs["pin_memory"] = False
    return _returned(func, args, kwargs, func(*plain_args, **plain_kwargs), there)


def _claimed(device: Any) -> torch.device:
    """The device that one of torch's own stands for."""
    found = torch.device(device)
    return DEVICE if found.type in ("cuda", "meta") else found


def _returned(func: Any, args: Any, kwargs: dict[str, Any], out: Any, there: torch.device) -> Any:
    """What the caller has to get: arguments that were written to are themselves, and new tensors claim `there`."""

    def claim(x: Any) -> Any:
        return OnDevice(x) if isinstance(x, Tensor) and there == DEVICE and not isinstance(x, OnDevice) else x

    written = [_written(func, result, args, kwargs) for result in func._schema.returns]
    if len(written) == 1 and not isinstance(out, list | tuple):
        return claim(out) if written[0] is None else written[0]
    if isinstance(out, tuple) and len(written) == len(out):
        return tuple(claim(o) if w is None else w for o, w in zip(out, written, strict=True))
    return tree_map(claim, out)


def _written(func: Any, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The argument that a result is, or None for a tensor of its own."""
    if result.alias_info is None or not result.alias_info.is_write:
        return None
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.before_set == result.alias_info.before_set:
            return kwargs[argument.name] if argument.name in kwargs else args[i]
    return None
