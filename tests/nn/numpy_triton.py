"""As much of `triton.language` on numpy arrays as the kernels use: one program after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

Kernel = Callable[..., None]


@dataclass(frozen=True)
class Pointer:
    """An array with offsets into it; `dtype.element_ty` as in Triton."""

    array: np.ndarray[Any, Any]
    offset: Any = 0

    def __add__(self, step: Any) -> Pointer:
        return Pointer(self.array, self.offset + step)

    @property
    def dtype(self) -> SimpleNamespace:
        return SimpleNamespace(element_ty=self.array.dtype)


class Number(int):
    def to(self, dtype: type) -> int:
        return int(self)


def load(pointer: Pointer, mask: Any = True, other: float = 0.0) -> Any:
    offset = np.asarray(pointer.offset)
    wanted = np.broadcast_to(mask, offset.shape)
    reached = offset[wanted]
    assert reached.size == 0 or (reached.min() >= 0 and reached.max() < pointer.array.size), "read outside a tensor"
    if offset.ndim == 0:
        return pointer.array[int(offset)]
    found = np.full(offset.shape, other, dtype=pointer.array.dtype)
    found[wanted] = pointer.array[reached]
    return found


def store(pointer: Pointer, value: Any, mask: Any = True) -> None:
    offset = np.asarray(pointer.offset)
    wanted = np.broadcast_to(mask, offset.shape)
    reached = offset[wanted]
    assert reached.size == 0 or (reached.min() >= 0 and reached.max() < pointer.array.size), "written outside a tensor"
    pointer.array[reached] = np.broadcast_to(value, offset.shape)[wanted]


class Launcher:
    """What `triton.jit` makes of a kernel: `launcher[grid](*arguments, **constants)`."""

    def __init__(self, source: str) -> None:
        self.place: tuple[int, ...] = ()
        language = SimpleNamespace(
            load=load,
            store=store,
            arange=np.arange,
            zeros=lambda shape, dtype: np.zeros(shape, dtype),
            sum=lambda x, axis: x.sum(axis),
            program_id=lambda axis: Number(self.place[axis]),
            constexpr=int,
            int64=int,
        )
        namespace: dict[str, Any] = {"tl": language}
        exec(source, namespace)
        self.kernel: Kernel = namespace[source.split("(", 1)[0].removeprefix("def ")]

    def __getitem__(self, grid: tuple[int, ...]) -> Kernel:
        def launch(*arguments: Any, num_warps: int, enable_fp_fusion: bool = True, **constants: int) -> None:
            given = [Pointer(a.numpy().reshape(-1)) if isinstance(a, torch.Tensor) else a for a in arguments]
            for self.place in itertools.product(*(range(n) for n in grid)):
                self.kernel(*given, **constants)

        return launch
