"""Messages as operations whose number does not depend on the graph: for tracing, not for speed."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.nn.message_maps import MessageEdges, MessageForm, MessagePath, path_coupling


def traced_messages(form: MessageForm, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
    """What :class:`~eqcli.nn.message_pass.MessagePass` gives, `[N, rows_out, C]`; it keeps every edge of every path."""
    n, channels = h.shape[0], h.shape[2]
    neighbours = h.index_select(0, edges.sender)
    weights = w.view(w.shape[0], len(form.paths), channels)
    parts: list[Tensor | None] = [None] * form.rows_out
    for p, path in enumerate(form.paths):
        each = _coupled(path, neighbours, harmonics) * weights[:, p].unsqueeze(1)  # [E, 2 l3 + 1, C]
        message = h.new_zeros(n, 2 * path.l3 + 1, channels).index_add(0, edges.receiver, each)
        for m in range(2 * path.l3 + 1):
            parts[path.result + m * path.step] = message[:, m]
    # A row that no coupling gives is zero.
    return torch.stack([h.new_zeros(n, channels) if part is None else part for part in parts], dim=1)


def _coupled(path: MessagePath, neighbours: Tensor, harmonics: Tensor) -> Tensor:
    """The product of one path without weights, `[E, 2 l3 + 1, C]`."""
    table = path_coupling(path.l1, path.l2, path.l3).to(neighbours)  # [2 l1 + 1, 2 l2 + 1, 2 l3 + 1]
    y = harmonics[:, path.second : path.second + 2 * path.l2 + 1]
    coupling = (y @ table.permute(1, 2, 0).flatten(1)).view(y.shape[0], 2 * path.l3 + 1, 2 * path.l1 + 1)
    return torch.bmm(coupling, neighbours[:, path.first : path.first + 2 * path.l1 + 1])
