"""The message pass through OpenEquivariance, an optional library (package `openequivariance`, GPUs alone).

Bharadwaj et al., arXiv:2501.13986: `TensorProductConv` fuses product and sum over neighbours. Its deterministic variant
is used; it wants the edges sorted by receiver and sender, and for every edge the reverse edge to be there, as
in any neighbour list.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from eqcli.nn.differentiated_maps import DifferentiatedMaps
from eqcli.nn.message_maps import MessageEdges, MessageForm

PACKAGE = "openequivariance"


def openequivariance_missing(device: torch.device) -> str | None:
    """Why the library cannot be used on `device`, or None when it can. Nothing is imported."""
    if importlib.util.find_spec(PACKAGE) is None:
        return "the package openequivariance is not installed"
    return None if device.type == "cuda" else f"openequivariance runs on GPUs, not on {device.type}"


class OpenequivarianceMaps(DifferentiatedMaps):
    """:class:`~eqcli.nn.message_maps.MessageMaps` of `form`; calls raise RuntimeError where the library cannot run."""

    def __init__(self, form: MessageForm) -> None:
        self.form = form

    def messages(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        """As the library forms them. Raises ValueError when an edge has no reverse edge."""
        channels = h.shape[-1]
        order = sorted_both_ways(edges)
        if order.edges is not None:
            w, harmonics = w.index_select(0, order.edges), harmonics.index_select(0, order.edges)
        convolve = _convolution(self.form, channels, h.dtype, h.device)
        found = convolve(h.flatten(1), harmonics, w, edges.receiver, order.sender, order.reverse)
        rows = torch.tensor(rows_by_path(self.form), device=h.device)
        by_path: Tensor = found.reshape(edges.n_atoms, -1, channels)
        return torch.zeros_like(by_path).index_copy(1, rows, by_path)


class BothWays(NamedTuple):
    """Edges sorted by receiver and sender.

    Attributes
    ----------
    edges
        `[E]` edge of the graph at each place, or None when they are sorted so.
    sender
        `[E]` senders in that order.
    reverse
        `[E]` place of a reverse edge of each, every edge once: the order by sender and receiver.
    """

    edges: Tensor | None
    sender: Tensor
    reverse: Tensor


_ORDERS: WeakKeyDictionary[MessageEdges, BothWays] = WeakKeyDictionary()


def sorted_both_ways(edges: MessageEdges) -> BothWays:
    """The order that the library wants, found once for a graph. Raises ValueError when an edge has no reverse edge."""
    found = _ORDERS.get(edges)
    if found is None:
        found = _ORDERS[edges] = _sort_both_ways(edges)
    return found


def _sort_both_ways(edges: MessageEdges) -> BothWays:
    n = edges.n_atoms
    order = torch.argsort(edges.receiver * n + edges.sender, stable=True)
    in_place = bool((order[1:] > order[:-1]).all())
    sender, receiver = edges.sender[order], edges.receiver
    reverse = torch.argsort(sender * n + receiver, stable=True)
    if not (torch.equal(sender[reverse], receiver) and torch.equal(receiver[reverse], sender)):
        raise ValueError("openequivariance needs graphs in which every edge has its reverse edge")
    return BothWays(None if in_place else order, sender, reverse)


def rows_by_path(form: MessageForm) -> list[int]:
    """Row of the messages for each row of the library's result, which holds path after path."""
    return [path.result + m3 * path.step for path in form.paths for m3 in range(2 * path.l3 + 1)]


def degrees_of_rows(rows: int, placed: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """`(first row, degree)` of irreps that cover `rows` rows: those `placed`, and scalars in the gaps."""
    covered = {row for first, degree in placed for row in range(first, first + 2 * degree + 1)}
    return sorted(placed | {(row, 0) for row in range(rows) if row not in covered})


@cache
def _convolution(form: MessageForm, channels: int, dtype: torch.dtype, device: torch.device) -> Any:
    """The library's kernel. The form has no parities; with all even, as here, every coupling is allowed."""
    if reason := openequivariance_missing(device):
        raise RuntimeError(reason)
    import openequivariance as oeq

    inputs = degrees_of_rows(form.rows_in, {(p.first, p.l1) for p in form.paths})
    harmonics = degrees_of_rows(form.rows_edge, {(p.second, p.l2) for p in form.paths})
    instructions = [
        (inputs.index((p.first, p.l1)), harmonics.index((p.second, p.l2)), k, "uvu", True)
        for k, p in enumerate(form.paths)
    ]
    precision = np.float64 if dtype == torch.float64 else np.float32
    problem = oeq.TPProblem(
        oeq.Irreps([(channels, (degree, 1)) for _, degree in inputs]),
        oeq.Irreps([(1, (degree, 1)) for _, degree in harmonics]),
        oeq.Irreps([(channels, (p.l3, 1)) for p in form.paths]),
        instructions,
        shared_weights=False,
        internal_weights=False,
        irrep_dtype=precision,
        weight_dtype=precision,
        layout="ir_mul",
    )
    return oeq.TensorProductConv(problem, deterministic=True)
