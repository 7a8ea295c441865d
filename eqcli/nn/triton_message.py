"""The message pass as fused Triton kernels: gather, tensor product and sum over neighbours in one.

No message of an edge reaches memory. Sums over edges run in the order of the edges and sums by sender along the
transposed order, without atomic operations, so that every call gives the same numbers. Derivatives by the
sender's features are the one thing that is kept per edge between the two kernels of a backward pass.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

import torch
from torch import Tensor

from eqcli.nn.message_maps import MessageEdges, MessageForm
from eqcli.nn.triton_kernels import SUM_BY_SENDER, triton_function
from eqcli.nn.triton_source import backward_source, forward_source
from eqcli.nn.triton_text import path_groups

LANES = 32
"""Channels of one program: one warp, so that what all channels share costs one instruction."""

ROW_BYTES = 288
"""Registers for messages, in bytes per channel: 72 rows in float32."""

ONE_WARP: dict[str, Any] = {"num_warps": 1, "enable_fp_fusion": True}
"""Programs of one warp each, multiply-adds in one instruction whatever the default of the version of Triton."""

SUM_BLOCK = 128
"""Columns of one program of the sum by sender."""


def triton_missing(device: torch.device) -> str | None:
    """Why Triton kernels cannot run on `device`, or None when they can. Nothing is imported."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed"
    if device.type != "cuda" and not interpreted():
        return f"Triton kernels run on GPUs, not on {device.type}"
    return None


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python (TRITON_INTERPRET=1): for tests."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "y", "yes")


class TritonMaps:
    """:class:`~eqcli.nn.message_maps.MessageMaps` in Triton, for float32 and float64.

    Calls raise RuntimeError where Triton cannot run.

    Parameters
    ----------
    form
        The couplings.
    lanes
        Channels of one program, a power of two.
    row_bytes
        Messages that a program may hold, in bytes per channel; forms with more are split over several kernels.
    """

    def __init__(self, form: MessageForm, *, lanes: int = LANES, row_bytes: int = ROW_BYTES) -> None:
        self.form, self.lanes, self.row_bytes = form, lanes, row_bytes

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        return self._messages((h, w, harmonics), edges, second=False)

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._derivatives((g, h, w, harmonics), edges, second=False)

    def double_backward(
        self,
        g: Tensor,
        h: Tensor,
        w: Tensor,
        harmonics: Tensor,
        of_h: Tensor,
        of_w: Tensor,
        of_harmonics: Tensor,
        edges: MessageEdges,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        given = (h, w, harmonics, of_h, of_w, of_harmonics)
        return self._messages(given, edges, second=True), *self._derivatives((g, *given), edges, second=True)

    def _messages(self, given: tuple[Tensor, ...], edges: MessageEdges, second: bool) -> Tensor:
        h = _checked(given)[0]
        channels = h.shape[-1]
        shape = (edges.n_atoms, self.form.rows_out, channels)
        if not (edges.n_atoms and channels and len(edges.sender)):
            return h.new_zeros(shape)
        result = h.new_empty(shape)
        with _on(h):
            for kernel in _kernels(self.form, self._budget(h, second), h.device, second)[0]:
                kernel[self._grid(edges, channels)](
                    *given, edges.sender, edges.receiver_pointer, result, channels, BLOCK=self.lanes, **ONE_WARP
                )
        return result

    def _derivatives(
        self, given: tuple[Tensor, ...], edges: MessageEdges, second: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, h, w, harmonics = _checked(given)[:4]
        channels, n_edges = h.shape[-1], len(edges.sender)
        if not (edges.n_atoms and channels and n_edges):
            return torch.zeros_like(h), torch.zeros_like(w), torch.zeros_like(harmonics)
        kernels = _kernels(self.form, self._budget(h, second), h.device, second)[1]
        grid = self._grid(edges, channels)
        of_neighbours = h.new_empty(n_edges, self.form.rows_in, channels)
        of_w = torch.empty_like(w)
        of_harmonics = h.new_empty(len(kernels), grid[1], n_edges, self.form.rows_edge)
        with _on(h):
            for kernel, part in zip(kernels, of_harmonics, strict=True):
                kernel[grid](
                    *given, of_neighbours, of_w, part, edges.sender, edges.receiver_pointer, n_edges, channels,
                    BLOCK=self.lanes, **ONE_WARP,
                )  # fmt: skip
        return _sum_by_sender(of_neighbours, edges), of_w, of_harmonics.sum((0, 1))

    def _grid(self, edges: MessageEdges, channels: int) -> tuple[int, int]:
        return edges.n_atoms, -(-channels // self.lanes)

    def _budget(self, h: Tensor, second: bool) -> int:
        """Rows of messages in one kernel; a row of second derivatives needs about twice the registers."""
        return self.row_bytes // h.element_size() // (2 if second else 1)


@cache
def _kernels(form: MessageForm, budget: int, device: torch.device, second: bool) -> tuple[list[Any], list[Any]]:
    """Kernels of the messages and of the derivatives, one of each for every group of paths."""
    if reason := triton_missing(device):
        raise RuntimeError(reason)
    groups = path_groups(form, budget)
    messages = [triton_function(forward_source(form, group, second)) for group in groups]
    return messages, [triton_function(backward_source(form, group, second)) for group in groups]


def _sum_by_sender(of_edges: Tensor, edges: MessageEdges) -> Tensor:
    """`[E, rows, C]` -> `[N, rows, C]`, in the order of the edges."""
    rows, channels = of_edges.shape[1:]
    result = of_edges.new_empty(edges.n_atoms, rows, channels)
    width = rows * channels
    grid = (edges.n_atoms, -(-width // SUM_BLOCK))
    with _on(of_edges):
        triton_function(SUM_BY_SENDER)[grid](
            of_edges, edges.by_sender, edges.sender_pointer, result, width, BLOCK=SUM_BLOCK, num_warps=4
        )
    return result


def _checked(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same tensors, which kernels read by address: one precision, one device, no gaps."""
    first = tensors[0]
    if first.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"the kernels are for float32 and float64, not {first.dtype}")
    for tensor in tensors:
        if tensor.dtype != first.dtype or tensor.device != first.device or not tensor.is_contiguous():
            raise ValueError("the kernels need contiguous tensors of one precision on one device")
    return tensors


def _on(tensor: Tensor) -> torch.cuda.device_of:
    """Makes the GPU of `tensor` current; nothing for a tensor of the CPU."""
    return torch.cuda.device_of(tensor)
