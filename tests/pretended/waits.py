"""What makes the host wait for the device."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from tests.pretended.rules import CPU, CROSSING, DEVICE, INDEXING

ATEN = torch.ops.aten
PACKAGE = str(Path(__file__).resolve().parents[2] / "eqcli")

WAITING = {
    ATEN._local_scalar_dense.default: "a number is read",
    ATEN.nonzero.default: "nonzero",
    ATEN.masked_select.default: "masked_select",
    ATEN._unique2.default: "unique",
    ATEN.unique_dim.default: "unique",
    ATEN.unique_consecutive.default: "unique",
    ATEN.unique_dim_consecutive.default: "unique",
    ATEN.equal.default: "equal",
    ATEN.repeat_interleave.Tensor: "repeat_interleave without output_size",
    ATEN.bincount.default: "bincount",
    ATEN._linalg_check_errors.default: "errors of linear algebra",
    ATEN._linalg_eigh.default: "errors of linear algebra",
    ATEN._linalg_svd.default: "errors of linear algebra",
    ATEN.linalg_lstsq.default: "errors of linear algebra",
}
"""Operations whose result, or its shape, the host has to know before it goes on."""


class Waits:
    """How often the host has waited, by reason and by the line of the package that asked for it.

    A copy to the device counts too: from memory that is not pinned it is made before the host goes on.
    """

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.lines.values())

    def among(self, reason: str) -> int:
        """Those whose line or reason contains these words."""
        return sum(count for line, count in self.lines.items() if reason in line)

    def clear(self) -> None:
        """Starts anew."""
        self.lines.clear()

    def note(self, func: Any, args: Any, kwargs: Any, here: torch.device, there: torch.device) -> None:
        """Counts an operation of tensors `here` whose result lies `there`, if it waits."""
        reason = _reason(func, args, kwargs, here, there)
        if reason is not None:
            self.lines[f"{_line()}: {reason}"] += 1


def _reason(func: Any, args: Any, kwargs: Any, here: torch.device, there: torch.device) -> str | None:
    if func in CROSSING:
        source, target = (args[0], there) if func is ATEN._to_copy.default else (args[1], args[0].device)
        return None if source.device == target else "to the CPU" if target == CPU else "to the device"
    if here != DEVICE:
        return None
    if func in INDEXING:
        indices = [i for i in args[INDEXING[func]] if i is not None]
        if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
            return "indexing by a mask"
        return "to the device" if any(i.device == CPU for i in indices) else None
    return WAITING.get(func) if kwargs.get("output_size") is None else None


def _line() -> str:
    """The innermost line of the package under way."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"


WAITS = Waits()
"""Those of the device that is pretended at present."""
