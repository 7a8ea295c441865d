"""Batches to another device or precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

B = TypeVar("B")


def moved(batch: B, device: Any = None, dtype: torch.dtype | None = None) -> B:
    """A dataclass with all its tensors moved, and all that has a method `to`.

    `dtype` is that of the numbers which are not whole; what is neither stays as it is.
    """
    found: dict[str, Any] = {}
    for name, field in vars(batch).items():
        if isinstance(field, Tensor):
            found[name] = field.to(device=device, dtype=dtype if field.is_floating_point() else None)
        elif hasattr(field, "to"):
            found[name] = field.to(device, dtype)
    return replace(batch, **found)  # type: ignore[type-var]
