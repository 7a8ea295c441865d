"""What a kernel for message passing computes, whoever computes it.

The sum over neighbours of features times harmonics is one multilinear form,
`T(g, h, w, Y) = sum_(e: j -> i) sum_(p, m1, m2, m3, c) C^p[m1, m2, m3] g_i[p, m3, c] w_e[p, c] h_j[m1, c] Y_e[m2]`.
Messages are its derivative by g; their gradient gives the derivatives by h, w and Y; and the
gradient of these is a sum of the same maps. So three maps are all that a backend needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.graph.layout import Layout, NeighbourBlock, neighbour_blocks
from eqcli.graph.segments import segment_counts

if TYPE_CHECKING:
    from eqcli.nn.edge_pieces import Piece


class MessagePath(NamedTuple):
    """A coupling of features of degree `l1` with harmonics of degree `l2` to messages of degree `l3`.

    The features' components are rows `first .. first + 2 l1`, those of the harmonics columns
    `second .. second + 2 l2`; component m3 of the result is row `result + m3 * step`.
    """

    l1: int
    l2: int
    l3: int
    first: int
    second: int
    result: int
    step: int


class Coupling(NamedTuple):
    """What a path is made from; results of the same `group`, a number, lie side by side."""

    l1: int
    l2: int
    l3: int
    first: int
    second: int
    group: int


@dataclass(frozen=True)
class MessageForm:
    """All couplings of a message pass; path p has weights in columns `p C .. (p + 1) C`.

    Attributes
    ----------
    paths
        Ordered as the weights are.
    rows_in, rows_edge, rows_out
        Numbers per channel of features and messages, and numbers of the harmonics per edge.
    """

    paths: tuple[MessagePath, ...]
    rows_in: int
    rows_edge: int
    rows_out: int

    @classmethod
    def grouped(cls, couplings: Iterable[Coupling], rows_in: int, rows_edge: int) -> MessageForm:
        """Results of the same group side by side: a group of n paths of degree l3 is `[2 l3 + 1, n, C]`.

        Groups follow each other in the order of their numbers, and within a group the paths keep the order of
        `couplings`. Raises ValueError when a group holds two degrees.
        """
        couplings = list(couplings)
        sizes: dict[int, int] = {}
        degrees: dict[int, int] = {}
        for _, _, l3, _, _, group in couplings:
            sizes[group] = sizes.get(group, 0) + 1
            if degrees.setdefault(group, l3) != l3:
                raise ValueError(f"group {group} of the results holds two degrees")
        starts, rows = {}, 0
        for group in sorted(sizes):
            starts[group] = rows
            rows += (2 * degrees[group] + 1) * sizes[group]
        taken = dict.fromkeys(sizes, 0)
        paths = []
        for l1, l2, l3, first, second, group in couplings:
            paths.append(MessagePath(l1, l2, l3, first, second, starts[group] + taken[group], sizes[group]))
            taken[group] += 1
        return cls(tuple(paths), rows_in, rows_edge, rows)

    @property
    def groups(self) -> list[tuple[int, int]]:
        """Degree l3 and number of paths of each group of the results, in the order of their rows."""
        found = []
        rows = 0
        while rows < self.rows_out:
            path = next(p for p in self.paths if p.result == rows)
            found.append((path.l3, path.step))
            rows += (2 * path.l3 + 1) * path.step
        return found


@cache
def path_coupling(l1: int, l2: int, l3: int) -> Tensor:
    """C of one path, `[2 l1 + 1, 2 l2 + 1, 2 l3 + 1]` float64: component normalisation, as e3nn's."""
    return sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)


class MessageEdges:
    """The directed edges j -> i of a graph, sorted by receiver, in the forms that kernels read them in.

    What only some kernels need is computed when first asked for.

    Attributes
    ----------
    sender, receiver
        `[E]` int64 atoms; `receiver` ascends.
    n_atoms
        N.
    pieces
        Pieces that :func:`eqcli.nn.edge_pieces.edge_pieces` has cut, by their largest number of edges.
    """

    def __init__(
        self,
        sender: Tensor,
        receiver: Tensor,
        n_atoms: int,
        blocks: tuple[list[NeighbourBlock], Tensor | None] | None = None,
    ) -> None:
        self.sender, self.receiver, self.n_atoms = sender, receiver, n_atoms
        self.pieces: dict[int, list[Piece]] = {}
        if blocks is not None:
            self.blocks = blocks

    @classmethod
    def from_layout(cls, layout: Layout, n_atoms: int) -> MessageEdges:
        """The edges of a layout, atoms in its order."""
        return cls(layout.sender, layout.receiver, n_atoms, (layout.blocks, layout.block_inverse))

    @cached_property
    def blocks(self) -> tuple[list[NeighbourBlock], Tensor | None]:
        """Receivers in blocks of like degree, and the row of each atom in the concatenated blocks."""
        return neighbour_blocks(self.receiver, self.n_atoms)

    @cached_property
    def receiver_pointer(self) -> Tensor:
        """`[N + 1]`: edges `pointer[i] .. pointer[i + 1]` are received by atom i."""
        return _pointer(self.receiver, self.n_atoms)

    @cached_property
    def by_sender(self) -> Tensor:
        """`[E]`: edges in ascending order of their senders; those of one sender keep their order."""
        return torch.argsort(self.sender, stable=True)

    @cached_property
    def sender_pointer(self) -> Tensor:
        """`[N + 1]`: edges `by_sender[pointer[j] .. pointer[j + 1]]` are sent by atom j."""
        return _pointer(self.sender, self.n_atoms)


def _pointer(atoms: Tensor, n_atoms: int) -> Tensor:
    counts = segment_counts(atoms, n_atoms)
    return torch.nn.functional.pad(torch.cumsum(counts, 0), (1, 0))


class MessageMaps(Protocol):
    """The three maps of a backend, for the :class:`MessageForm` it was made with.

    Plain functions of contiguous tensors on one device and of one precision: no autograd, no side effects, the same
    numbers on every call. With N atoms, E edges, P paths and C channels,

    - g, gradient by the messages: `[N, rows_out, C]`
    - h, features: `[N, rows_in, C]`
    - w, weights: `[E, P C]`
    - Y, harmonics: `[E, rows_edge]`

    and derivatives have the shape of what they are derivatives by.
    """

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        """Messages `dT/dg`, `[N, rows_out, C]`; zero for an atom without neighbours."""
        ...

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`dT/dh`, `dT/dw` and `dT/dY` at (g, h, w, Y)."""
        ...

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
        """Derivatives by g, h, w and Y of `<a_h, dT/dh> + <a_w, dT/dw> + <a_Y, dT/dY>`.

        That sum is `T(g, a_h, w, Y) + T(g, h, a_w, Y) + T(g, h, w, a_Y)`; the a are `of_h`, `of_w`, `of_harmonics`.
        """
        ...
