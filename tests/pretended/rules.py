"""Which operations take tensors of which devices, as CUDA has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("cuda", 0)
CPU = torch.device("cpu")

ATEN = torch.ops.aten

CROSSING = {ATEN.copy_.default, ATEN._to_copy.default, ATEN.copy.default}
"""Operations that take tensors of several devices."""

INDEXING = {
    ATEN.index.Tensor: 1,
    ATEN.index_put.default: 1,
    ATEN.index_put_.default: 1,
    ATEN._index_put_impl_.default: 1,
    ATEN._unsafe_index.Tensor: 1,
}
"""Operations whose indices may lie on the CPU, with the place of the indices among the arguments."""

SCALARS = {
    ATEN.index_put.default,
    ATEN.index_put_.default,
    ATEN._index_put_impl_.default,
    ATEN.masked_fill.Tensor,
    ATEN.masked_fill_.Tensor,
    ATEN.fill_.Tensor,
    ATEN.fill.Tensor,
    ATEN.index_fill.int_Tensor,
    ATEN.index_fill_.int_Tensor,
}
"""Operations that take a 0-dimensional tensor of the CPU, besides those that are elementwise by torch's own tag."""


def place_of(func: Any, args: Any, kwargs: Any) -> torch.device:
    """The device of the operands. RuntimeError where they lie on two."""
    if func in CROSSING:
        return torch.device(args[0].device)
    indices = args[INDEXING[func]] if func in INDEXING else []
    others = [a for i, a in enumerate(args) if i != INDEXING.get(func)]
    tensors = [x for x in tree_leaves((others, kwargs)) if isinstance(x, Tensor)]
    scalars = torch.Tag.pointwise in func.tags or func in SCALARS
    binding = [x for x in tensors if not (scalars and x.dim() == 0 and x.device == CPU)]
    devices = {x.device for x in binding or tensors}
    if len(devices) > 1:
        shapes = ", ".join(f"{tuple(x.shape)} on {x.device}" for x in tensors)
        raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got {shapes}")
    place = torch.device(devices.pop()) if devices else CPU
    if place == CPU and any(i is not None and i.device != CPU for i in indices):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    return place


class Generator(torch.Generator):
    """A generator of random numbers that claims to be of the device that it was asked for.

    To torch it is one of the CPU: which it claims to be is kept by address, since torch wraps it anew.
    """

    claims: set[int] = set()  # noqa: RUF012

    def __new__(cls, device: Any = "cpu") -> Generator:
        """One of the CPU, with a claim."""
        made = super().__new__(cls)
        if torch.device(device).type == "cuda":
            cls.claims.add(made._cdata)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__()

    def __del__(self) -> None:
        self.claims.discard(self._cdata)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device it claims."""
        return DEVICE if self._cdata in self.claims else CPU


def require_generator(generator: torch.Generator | None, place: torch.device) -> None:
    """RuntimeError where a generator of one device is to fill a tensor of another."""
    if generator is None:
        return
    found = DEVICE if generator._cdata in Generator.claims else CPU
    if found != place:
        raise RuntimeError(f"Expected a '{place.type}' device type for generator but found '{found.type}'")
