"""Message passing one piece of the edges at a time, as batched matrix products over the neighbours of each atom."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from eqcli.nn.edge_pieces import Piece, Scratch, add_rows, edge_pieces
from eqcli.nn.edge_weights import EdgeWeights
from eqcli.nn.message_maps import MessageEdges, MessageForm, MessagePath, path_coupling

Cotangents = tuple[Tensor, Tensor]
"""a_h and a_Y."""


class Kernel:
    """The three maps of :class:`~eqcli.nn.message_maps.MessageMaps`, whatever the weights are made of."""

    def __init__(self, form: MessageForm) -> None:
        self.form = form
        # Paths of one l1 in a row work on the same neighbour features while these are in the cache.
        self.order = sorted(range(len(form.paths)), key=lambda p: form.paths[p].first)

    def messages(self, h: Tensor, weights: EdgeWeights, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        """`[N, rows_out, C]`."""
        pieces, scratch = edge_pieces(edges, h.shape[2]), Scratch(h)
        out = self._empty_messages(h, edges, pieces)
        for piece in pieces:
            weights.open(piece, h.shape[2])
            work = _Work(piece, scratch, h.shape[2])
            y, neighbours = piece.take_masked(harmonics), _Rows(h, work, "h")
            message = work.messages(out)
            for p in self.order:
                path = self.form.paths[p]
                weighted = torch.mul(weights.path(p).unsqueeze(1), neighbours(path), out=work.rows("weighted", path))
                work.sum_neighbours(_rows_of(message, path), _coupling(path, y), weighted)
            work.put_messages(out, message)
        return out

    def gradients(
        self, g: Tensor, h: Tensor, weights: EdgeWeights, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor]:
        """Derivatives by h and Y; those by the weights gather in `weights`."""
        of_h, of_harmonics = torch.zeros_like(h), torch.empty_like(harmonics)
        scratch = Scratch(h)
        for piece in edge_pieces(edges, h.shape[2]):
            weights.open(piece, h.shape[2])
            work = _Work(piece, scratch, h.shape[2])
            y, given, neighbours = piece.take_masked(harmonics), piece.take_atoms(g), _Rows(h, work, "h")
            of_y, of_neighbours = torch.zeros_like(y), _Sum(work("of_h", piece.n_edges, h.shape[1]))
            for p in self.order:
                path = self.form.paths[p]
                w, x, g_p = weights.path(p), neighbours(path), _rows_of(given, path)
                weighted = torch.mul(w.unsqueeze(1), x, out=work.rows("weighted", path))
                work.add_of_harmonics(of_y, path, weighted, g_p)
                spread = work.spread(_coupling(path, y), g_p, weighted)
                _dot(spread, x, out=weights.gradient(p))
                of_neighbours.add(path, w, spread)
                weights.close_path(p)
            add_rows(of_h, piece.sender, of_neighbours.total)
            piece.put_edges(of_harmonics, of_y)
            weights.close()
        return of_h, of_harmonics

    def second_gradients(
        self, g: Tensor, h: Tensor, weights: EdgeWeights, harmonics: Tensor, a: Cotangents, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Derivatives by g, h and Y of `T(g, a_h, w, Y) + T(g, h, a_w, Y) + T(g, h, w, a_Y)`."""
        a_h, a_harmonics = a
        pieces, scratch = edge_pieces(edges, h.shape[2]), Scratch(h)
        of_h, of_harmonics = torch.zeros_like(h), torch.empty_like(harmonics)
        of_g = self._empty_messages(h, edges, pieces)
        for piece in pieces:
            weights.open(piece, h.shape[2])
            work = _Work(piece, scratch, h.shape[2])
            y, a_y, given = piece.take_masked(harmonics), piece.take_masked(a_harmonics), piece.take_atoms(g)
            neighbours, a_neighbours = _Rows(h, work, "h"), _Rows(a_h, work, "a_h")
            of_y, of_neighbours = torch.zeros_like(y), _Sum(work("of_h", piece.n_edges, h.shape[1]))
            message = work.messages(of_g)
            for p in self.order:
                path = self.form.paths[p]
                w, a_w, x, a_x = weights.path(p), weights.direction(p), neighbours(path), a_neighbours(path)
                g_p, coupling, a_coupling = _rows_of(given, path), _coupling(path, y), _coupling(path, a_y)
                weighted = torch.mul(w.unsqueeze(1), x, out=work.rows("weighted", path))
                a_weighted = torch.mul(w.unsqueeze(1), a_x, out=work.rows("a_weighted", path))
                a_weighted.addcmul_(a_w.unsqueeze(1), x)
                work.add_of_harmonics(of_y, path, a_weighted, g_p)
                message_p = _rows_of(message, path)
                work.sum_neighbours(message_p, coupling, a_weighted)
                work.sum_neighbours(message_p, a_coupling, weighted, add=True)
                # The weighted features are used up; what is spread to the neighbours takes their place.
                spread, a_spread = work.spread(coupling, g_p, weighted), work.spread(a_coupling, g_p, a_weighted)
                _dot(spread, a_x, out=weights.gradient(p))
                _dot(a_spread, x, out=weights.gradient(p), add=True)
                if (first := weights.first_gradient(p)) is not None:
                    _dot(spread, x, out=first)
                of_neighbours.add(path, a_w, spread)
                of_neighbours.add(path, w, a_spread)
                weights.close_path(p)
            add_rows(of_h, piece.sender, of_neighbours.total)
            work.put_messages(of_g, message)
            piece.put_edges(of_harmonics, of_y)
            weights.close()
        return of_g, of_h, of_harmonics

    def _empty_messages(self, h: Tensor, edges: MessageEdges, pieces: list[Piece]) -> Tensor:
        """A place for messages, zero where no piece will write."""
        make = h.new_empty if sum(piece.n for piece in pieces) == edges.n_atoms else h.new_zeros
        return make(edges.n_atoms, self.form.rows_out, h.shape[2])


class _Work:
    """Steps on the edges of one piece. `G` is `[edges, 2 l1 + 1, 2 l3 + 1]`, features `[edges, 2 l1 + 1, C]`."""

    def __init__(self, piece: Piece, scratch: Scratch, channels: int) -> None:
        self.piece, self.scratch, self.channels = piece, scratch, channels

    def __call__(self, name: str, *shape: int) -> Tensor:
        return self.scratch(name, *shape, self.channels)

    def rows(self, name: str, path: MessagePath) -> Tensor:
        return self(name, self.piece.n_edges, 2 * path.l1 + 1)

    def messages(self, out: Tensor) -> Tensor:
        """A place for the messages of the piece: in `out` itself where its atoms lie in a row."""
        in_place = isinstance(self.piece.atoms, slice)
        return out[self.piece.atoms] if in_place else self("messages", self.piece.n, out.shape[1])

    def put_messages(self, out: Tensor, messages: Tensor) -> None:
        if not isinstance(self.piece.atoms, slice):
            out[self.piece.atoms] = messages

    def sum_neighbours(self, out: Tensor, coupling: Tensor, weighted: Tensor, add: bool = False) -> None:
        """`out[i, m3] = sum_(e of i, m1) G_e[m1, m3] x_e[m1]`, `[n, 2 l3 + 1, C]`."""
        n = self.piece.n
        table = coupling.view(n, -1, coupling.shape[2]).transpose(1, 2)
        part = torch.bmm(table, weighted.view(n, -1, self.channels), out=self("part", n, coupling.shape[2]))
        if add:
            out.add_(part)
        else:
            out.copy_(part)

    def spread(self, coupling: Tensor, g: Tensor, out: Tensor) -> Tensor:
        """`out_e[m1] = sum_m3 G_e[m1, m3] g_i[m3]`, `[edges, 2 l1 + 1, C]`."""
        n = self.piece.n
        torch.bmm(coupling.view(n, -1, coupling.shape[2]), g, out=out.view(n, -1, self.channels))
        return out

    def add_of_harmonics(self, total: Tensor, path: MessagePath, weighted: Tensor, g: Tensor) -> None:
        """Adds `sum_(m1, m3) C[m1, m2, m3] sum_c g_i[m3, c] x_e[m1, c]` to `total`, `[edges, rows_edge]`."""
        n, dims = self.piece.n, (2 * path.l1 + 1) * (2 * path.l3 + 1)
        products = torch.bmm(weighted.view(n, -1, self.channels), g.transpose(1, 2))
        columns = total.narrow(1, path.second, 2 * path.l2 + 1)
        columns.addmm_(products.view(-1, dims), _table(path, total.dtype, total.device).T)


class _Rows:
    """Features of the senders, `[edges, 2 l1 + 1, C]`, gathered when a path asks for other rows than the last."""

    def __init__(self, features: Tensor, work: _Work, name: str) -> None:
        self.features, self.work, self.name = features, work, name
        self.first = -1

    def __call__(self, path: MessagePath) -> Tensor:
        if path.first != self.first:
            rows = self.features.narrow(1, path.first, 2 * path.l1 + 1)
            self.held = torch.index_select(rows, 0, self.work.piece.sender, out=self.work.rows(self.name, path))
            self.first = path.first
        return self.held


class _Sum:
    """What the edges of a piece give to the features of their senders, `[edges, rows_in, C]`."""

    def __init__(self, total: Tensor) -> None:
        self.total = total
        self.started: set[int] = set()

    def add(self, path: MessagePath, w: Tensor, spread: Tensor) -> None:
        rows = self.total.narrow(1, path.first, 2 * path.l1 + 1)
        if path.first in self.started:
            rows.addcmul_(w.unsqueeze(1), spread)
        else:
            torch.mul(w.unsqueeze(1), spread, out=rows)
            self.started.add(path.first)


def _dot(a: Tensor, b: Tensor, out: Tensor, add: bool = False) -> None:
    """`out[e, c] = sum_m a[e, m, c] b[e, m, c]`; component by component, since a sum would pass over memory twice."""
    for m in range(a.shape[1]):
        if m or add:
            out.addcmul_(a[:, m], b[:, m])
        else:
            torch.mul(a[:, 0], b[:, 0], out=out)


def _rows_of(message: Tensor, path: MessagePath) -> Tensor:
    """The result of one path in messages `[n, rows_out, C]`: a view `[n, 2 l3 + 1, C]`."""
    return message[:, path.result : path.result + 2 * path.l3 * path.step + 1 : path.step]


def _coupling(path: MessagePath, harmonics: Tensor) -> Tensor:
    """`G_e[m1, m3] = sum_m2 C[m1, m2, m3] Y_e[m2]`, `[edges, 2 l1 + 1, 2 l3 + 1]`."""
    table = _table(path, harmonics.dtype, harmonics.device)
    found = harmonics.narrow(1, path.second, 2 * path.l2 + 1) @ table
    return found.view(-1, 2 * path.l1 + 1, 2 * path.l3 + 1)


def _table(path: MessagePath, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _cast_table(path.l1, path.l2, path.l3, dtype, device)


@cache
def _cast_table(l1: int, l2: int, l3: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """C as `[2 l2 + 1, (2 l1 + 1) (2 l3 + 1)]`."""
    table = path_coupling(l1, l2, l3).transpose(0, 1).reshape(2 * l2 + 1, -1)
    return table.to(dtype=dtype, device=device)
