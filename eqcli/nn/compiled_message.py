"""Message passing as one expression per edge that torch.compile turns into loops.

The two derivatives are taken of the expression by function transforms and compiled as functions of their own:
what torch.compile makes of a function that autograd differentiates has no second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from eqcli.nn.edge_pieces import add_rows, numbers_at_once
from eqcli.nn.message_maps import MessageEdges, MessageForm, path_coupling


class CompiledMaps:
    """:class:`~eqcli.nn.message_maps.MessageMaps` by torch.compile; on a processor it needs a C++ compiler.

    Edges are taken in pieces of one size, the last one filled up with edges that carry nothing, so that code is
    made once for each number of channels. `compiler` is torch's name for what makes the code.
    """

    def __init__(self, form: MessageForm, compiler: str = "inductor") -> None:
        self.form = form
        self._messages, self._gradients, self._second_gradients = (
            torch.compile(function, dynamic=False, fullgraph=True, backend=compiler) for function in _functions(form)
        )

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        out = h.new_zeros(edges.n_atoms, self.form.rows_out, h.shape[2])
        for piece in _pieces(edges, h):
            add_rows(out, piece.receiver, piece.cut(self._messages(*self._take(piece, h, w, harmonics))))
        return out

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = torch.zeros_like(h), torch.empty_like(w), torch.empty_like(harmonics)
        for piece in _pieces(edges, h):
            arguments = self._take(piece, h, w, harmonics)
            self._put(piece, found, self._gradients(piece.fill(g.index_select(0, piece.receiver)), *arguments))
        return found

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
        of_g = torch.zeros_like(g)
        found = torch.zeros_like(h), torch.empty_like(w), torch.empty_like(harmonics)
        for piece in _pieces(edges, h):
            arguments = (*self._take(piece, h, w, harmonics), *self._take(piece, of_h, of_w, of_harmonics))
            parts = self._second_gradients(piece.fill(g.index_select(0, piece.receiver)), *arguments)
            add_rows(of_g, piece.receiver, piece.cut(parts[0]))
            self._put(piece, found, parts[1:])
        return of_g, *found

    def _take(self, piece: _Piece, h: Tensor, w: Tensor, harmonics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[size, rows_in, C]`, `[size, P, C]`, `[size, rows_edge]`."""
        features = piece.fill(h.index_select(0, piece.sender))
        weights = piece.fill(w[piece.edges]).unflatten(1, (len(self.form.paths), -1))
        return features, weights, piece.fill(harmonics[piece.edges])

    def _put(self, piece: _Piece, found: tuple[Tensor, Tensor, Tensor], parts: Any) -> None:
        of_neighbours, of_w, of_y = (piece.cut(part) for part in parts)
        add_rows(found[0], piece.sender, of_neighbours)
        found[1][piece.edges] = of_w.flatten(1)
        found[2][piece.edges] = of_y


class _Piece:
    """A range of edges, filled up to `size`."""

    def __init__(self, edges: MessageEdges, start: int, size: int) -> None:
        self.edges, self.size = slice(start, start + size), size
        self.sender, self.receiver = edges.sender[self.edges], edges.receiver[self.edges]

    def fill(self, x: Tensor) -> Tensor:
        missing = self.size - len(x)
        return torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x

    def cut(self, x: Tensor) -> Tensor:
        return x[: len(self.sender)]


def _pieces(edges: MessageEdges, h: Tensor) -> Iterator[_Piece]:
    size = max(1, numbers_at_once(h.device) // h.shape[2])
    return (_Piece(edges, start, size) for start in range(0, len(edges.sender), size))


def _functions(form: MessageForm) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Messages of edges, their gradients and second gradients."""
    tables = [path_coupling(p.l1, p.l2, p.l3) for p in form.paths]

    def messages(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
        rows: list[Tensor] = [x] * form.rows_out
        for p, path in enumerate(form.paths):
            table = tables[p].to(dtype=y.dtype, device=y.device)
            y_p = y[:, path.second : path.second + 2 * path.l2 + 1]
            coupling = torch.einsum("eb,abm->eam", y_p, table).unsqueeze(3)
            product = (coupling * x[:, path.first : path.first + 2 * path.l1 + 1].unsqueeze(2)).sum(1)
            result = product * w[:, p].unsqueeze(1)  # [size, 2 l3 + 1, C]
            for m in range(2 * path.l3 + 1):
                rows[path.result + m * path.step] = result[:, m]
        return torch.stack(rows, dim=1)

    def gradients(g: Tensor, x: Tensor, w: Tensor, y: Tensor) -> Any:
        return torch.func.vjp(messages, x, w, y)[1](g)

    def second_gradients(g: Tensor, x: Tensor, w: Tensor, y: Tensor, a_x: Tensor, a_w: Tensor, a_y: Tensor) -> Any:
        return torch.func.vjp(gradients, g, x, w, y)[1]((a_x, a_w, a_y))

    return messages, gradients, second_gradients
