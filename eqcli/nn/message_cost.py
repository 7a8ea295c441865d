"""What a message pass costs at least: bytes that must move and multiply-adds, and the bandwidth to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from eqcli.nn.message_maps import MessageForm
from eqcli.nn.sparse_coupling import nonzeros

INDEX_BYTES = 8
"""Of one atom or edge number."""


@dataclass(frozen=True)
class MessageCost:
    """The least that one call of a map moves and does.

    Attributes
    ----------
    bytes
        Every argument read once and every result written once; features that several edges read count once, nothing
        is kept in between.
    multiply_adds
        Of the sparse algorithm: coefficients contracted with the harmonics first, once per edge for all channels.
    """

    bytes: int
    multiply_adds: int


def message_cost(
    form: MessageForm, n_atoms: int, n_edges: int, channels: int, dtype: torch.dtype, order: int
) -> MessageCost:
    """The cost of the messages (`order` 0), of their three derivatives (1) or of the second derivatives (2)."""
    per_atom, per_edge = _numbers(form, channels, order)
    indices = (n_edges + n_atoms + 1) * (1 if order == 0 else 2)
    moved = (n_atoms * per_atom + n_edges * per_edge) * dtype.itemsize + indices * INDEX_BYTES
    shared, own = _multiply_adds(form, order)
    return MessageCost(moved, n_edges * (shared + own * channels))


def _numbers(form: MessageForm, channels: int, order: int) -> tuple[int, int]:
    """Numbers read and written per atom and per edge."""
    messages, features = form.rows_out * channels, form.rows_in * channels
    edge = len(form.paths) * channels + form.rows_edge
    return [
        (messages + features, edge),
        (messages + 2 * features, 2 * edge),
        (2 * messages + 3 * features, 3 * edge),
    ][order]


def _multiply_adds(form: MessageForm, order: int) -> tuple[int, int]:
    """Per edge, and per edge and channel: see :mod:`eqcli.nn.triton_source`."""
    terms = sum(len(nonzeros(path)) for path in form.paths)
    pairs = sum(len({(m1, m3) for m1, _, m3, _ in nonzeros(path)}) for path in form.paths)
    rows = sum(2 * path.l1 + 1 for path in form.paths)
    derivatives = 2 * pairs + terms + 3 * rows
    second = (2 * pairs + 3 * rows) + (3 * pairs + terms + 6 * rows)
    return [(terms, pairs + rows), (terms, derivatives), (4 * terms, second)][order]


def device_copy_bandwidth(device: torch.device, size: int = 1 << 30, repeats: int = 9) -> float:
    """Bytes per second that a copy of `size` bytes within the memory of `device` reads and writes, median of `repeats`.

    The size must be well beyond the caches.
    """
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    clock = _cuda_seconds if device.type == "cuda" else _seconds
    return 2 * size / median(clock(lambda: target.copy_(source)) for _ in range(repeats))


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _cuda_seconds(call: Callable[[], object]) -> float:
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1e3
