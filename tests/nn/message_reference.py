"""Message passing the slow, obvious way, and e3nn's, for comparison."""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irreps
from eqcli.nn.message_maps import MessageEdges, MessageForm, path_coupling


def slow_messages(form: MessageForm, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
    """The sum over edges and paths, one term at a time."""
    channels = h.shape[2]
    out = h.new_zeros(edges.n_atoms, form.rows_out, channels)
    for e, (j, i) in enumerate(zip(edges.sender.tolist(), edges.receiver.tolist(), strict=True)):
        for p, path in enumerate(form.paths):
            x = h[j, path.first : path.first + 2 * path.l1 + 1]
            y = harmonics[e, path.second : path.second + 2 * path.l2 + 1]
            product = torch.einsum("abk,ac,b->kc", path_coupling(path.l1, path.l2, path.l3).to(h.dtype), x, y)
            rows = [path.result + m * path.step for m in range(2 * path.l3 + 1)]
            out[i, rows] = out[i, rows] + product * w[e, p * channels : (p + 1) * channels]
    return out


def random_edges(degrees: list[int], seed: int = 0) -> MessageEdges:
    """Atoms with so many neighbours each, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    receiver = torch.arange(len(degrees)).repeat_interleave(torch.tensor(degrees, dtype=torch.int64))
    sender = torch.randint(max(len(degrees), 1), (len(receiver),), generator=generator)
    return MessageEdges(sender, receiver, len(degrees))


def random_arguments(
    form: MessageForm, edges: MessageEdges, channels: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Features, weights and harmonics."""
    generator = torch.Generator().manual_seed(seed)
    n_edges = len(edges.sender)
    shapes = [
        (edges.n_atoms, form.rows_in, channels),
        (n_edges, len(form.paths) * channels),
        (n_edges, form.rows_edge),
    ]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return drawn[0], drawn[1], drawn[2]


class E3nnMessages:
    """e3nn's TensorProduct in mode uvu with weights per edge, and the sum over edges that follows it.

    Takes and gives tensors in e3nn's order: features `[N, irreps_in.dim]`, messages `[N, irreps_out.dim]`.
    """

    def __init__(
        self, form: MessageForm, irreps_in: Irreps, irreps_edge: Irreps, irreps_out: Irreps, dtype: torch.dtype
    ) -> None:
        """`irreps_out` as :func:`eqcli.nn.message_pass.message_irreps` gives it."""
        self.form, self.channels = form, irreps_in[0].mul
        first, second = starts(irreps_in, self.channels), starts(irreps_edge, 1)
        results = starts(irreps_out, self.channels)
        single = [(self.channels, ir) for mul, ir in irreps_out for _ in range(mul // self.channels)]
        instructions = []
        for path in form.paths:
            group = max(i for i, row in enumerate(results) if row <= path.result)
            before = sum(mul for mul, _ in irreps_out[:group]) // self.channels
            place = before + path.result - results[group]
            instructions.append((first.index(path.first), second.index(path.second), place, "uvu", True))
        before_us = torch.get_default_dtype()
        torch.set_default_dtype(dtype)  # e3nn makes its constants in it
        self.product = o3.TensorProduct(
            irreps_in, irreps_edge, Irreps(single), instructions,
            irrep_normalization="component", path_normalization="none",
            shared_weights=False, internal_weights=False,
        )  # fmt: skip
        torch.set_default_dtype(before_us)
        self.signs = torch.tensor([_sign(p.l1, p.l2, p.l3) for p in form.paths]).repeat_interleave(self.channels)

    def __call__(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        product = self.product(h.index_select(0, edges.sender), harmonics, w)
        return product.new_zeros(edges.n_atoms, product.shape[1]).index_add(0, edges.receiver, product)


def starts(irreps: Irreps, channels: int) -> list[int]:
    """First row of each entry when each row holds `channels` numbers."""
    row, found = 0, []
    for mul, ir in irreps:
        found.append(row)
        row += ir.dim * mul // channels
    return found


def _sign(l1: int, l2: int, l3: int) -> float:
    """Of our coupling relative to e3nn's: both are unique up to it."""
    ours, theirs = clebsch_gordan(l1, l2, l3), o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
    sign = float((ours * theirs).sum().sign())
    torch.testing.assert_close(ours, sign * theirs, atol=1e-12, rtol=0)
    return sign
