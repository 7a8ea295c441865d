"""Constant tensors that stay exact when a module changes precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class ConstantModule(nn.Module):
    """A module with float64 constants that are cast anew from their exact values on every cast.

    An ordinary buffer that goes to float32 and back keeps the rounding of float32;
    coupling coefficients rounded so would spoil the symmetry of a float64 model.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def register_constant(self, name: str, value: Tensor) -> None:
        """Registers a buffer that is not saved and that follows device and precision of the module.

        As parameters do, it begins in torch's default precision.
        """
        self._exact[name] = value.detach().to(torch.float64).cpu()
        self.register_buffer(name, self._exact[name].to(torch.get_default_dtype(), copy=True), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        for name, value in self._exact.items():
            current: Any = self._buffers[name]
            self._buffers[name] = value.to(device=current.device, dtype=current.dtype, copy=True)
        return self

    def check_precision(self, x: Tensor) -> None:
        """Raises ValueError where `x` is more precise than the constants, which would spoil its last digits."""
        if torch.compiler.is_compiling():
            return
        for name in self._exact:
            constant = self._buffers[name]
            if constant is not None and x.dtype.itemsize > constant.dtype.itemsize:
                kind = type(self).__name__
                raise ValueError(f"{kind} in {constant.dtype} got numbers in {x.dtype}; cast it first: .to({x.dtype})")
            return
