"""Messages between neighbours: features times harmonics, weighted and summed over the edges of each atom."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from eqcli.geometry.tracing import tracing
from eqcli.nn.backend import Backend, wanted_backend
from eqcli.nn.backends import choose_backend
from eqcli.nn.message_maps import Coupling, MessageEdges, MessageForm, MessageMaps
from eqcli.nn.multilinear import multilinear
from eqcli.nn.plain_message import FormedMaps, PlainMaps
from eqcli.nn.traced_message import traced_messages

if TYPE_CHECKING:
    from eqcli.geometry.irreps import Irreps


class MessagePass(nn.Module):
    """`A_i[p, m3, c] = sum_(j -> i) sum_(m1, m2) C^p[m1, m2, m3] w_ij[p, c] h_j[m1, c] Y_ij[m2]`.

    The "uvu" tensor product of features with one copy of the harmonics, a weight per edge, path and
    channel, summed over the neighbours in the same step: the convolution of Tensor Field Networks
    (Thomas et al., arXiv:1802.08219), of NequIP and of MACE (eq. 8). Coupling coefficients have component
    normalisation; nothing is divided by the number of paths or of neighbours. There are derivatives of any
    order by features, weights and harmonics; results do not vary from run to run.

    Parameters
    ----------
    form
        The couplings; :meth:`from_irreps` makes them.
    backend
        What computes the messages; a backend that does not match plain torch on this machine is not used.
    """

    def __init__(self, form: MessageForm, backend: Backend = Backend.AUTO) -> None:
        super().__init__()
        self.form = form
        self.backend = backend
        self._maps: dict[tuple[torch.device, torch.dtype, int, Backend], MessageMaps] = {}

    @classmethod
    def from_irreps(
        cls, irreps_in: Irreps, irreps_edge: Irreps, irreps_out: Irreps | None = None, backend: Backend = Backend.AUTO
    ) -> Self:
        """All couplings of `irreps_in`, whose multiplicities agree, with `irreps_edge`, whose are 1.

        `irreps_out` names the representations that results may have and their order; without it all are made, by
        degree, natural parity first. Features `[..., irreps_in.dim]` are viewed as `[N, rows, C]`; messages
        `[N, rows_out, C]` flattened are a tensor of :func:`message_irreps`. Raises ValueError for other multiplicities.
        """
        return cls(form_of_irreps(irreps_in, irreps_edge, irreps_out), backend)

    def forward(
        self, features: Tensor, weights: Tensor, harmonics: Tensor, edges: MessageEdges, matrix: Tensor | None = None
    ) -> Tensor:
        """Messages `[N, rows_out, C]` from features `[N, rows_in, C]` and harmonics `[E, rows_edge]`.

        `weights` are `[E, P C]`, or, where `matrix` `[K, P C]` is given, radial features `[E, K]`: their product
        is then formed in pieces on a processor and never held as a whole. Edges are sorted by receiver.
        Raises ValueError for other shapes.
        """
        if not torch.compiler.is_compiling() and not tracing():
            self._check(features, weights if matrix is None else matrix, harmonics, edges)
            if len(weights) != len(edges.sender):
                raise ValueError(f"{len(edges.sender)} edges have {len(weights)} rows of weights")
        if tracing():
            return traced_messages(
                self.form, features, weights if matrix is None else weights @ matrix, harmonics, edges
            )
        maps = self.maps(features.device, features.dtype, features.shape[2])
        if matrix is None:
            return multilinear(maps, edges, features, weights, harmonics)
        if isinstance(maps, PlainMaps):
            formed = FormedMaps(self.form, matrix.requires_grad)
            return multilinear(formed, edges, features, weights, matrix, harmonics)
        return multilinear(maps, edges, features, weights @ matrix, harmonics)

    def _check(self, features: Tensor, columns: Tensor, harmonics: Tensor, edges: MessageEdges) -> None:
        """`columns` are the weights, or the matrix that forms them."""
        wanted = {
            "features": (features, (edges.n_atoms, self.form.rows_in, features.shape[-1])),
            "weights": (columns, (columns.shape[0], len(self.form.paths) * features.shape[-1])),
            "harmonics": (harmonics, (len(edges.sender), self.form.rows_edge)),
        }
        for name, (found, shape) in wanted.items():
            if tuple(found.shape) != shape:
                raise ValueError(f"a message pass over these edges takes {name} {list(shape)}, got {list(found.shape)}")

    def maps(self, device: torch.device, dtype: torch.dtype, channels: int) -> MessageMaps:
        """The kernels in use; a backend is probed when first asked for on a device and for a precision and size."""
        wanted = wanted_backend() if self.backend is Backend.AUTO else self.backend
        key = (device, dtype, channels, wanted)
        if key not in self._maps:
            self._maps[key] = choose_backend(self.form, wanted, device, dtype, channels)
        return self._maps[key]


def form_of_irreps(irreps_in: Irreps, irreps_edge: Irreps, irreps_out: Irreps | None = None) -> MessageForm:
    """The couplings of :meth:`MessagePass.from_irreps`, ordered by result, then feature, then harmonic."""
    found = _couplings(irreps_in, irreps_edge, irreps_out)
    rows_in, rows_edge = (sum(2 * ir.l + 1 for _, ir in irreps) for irreps in (irreps_in, irreps_edge))
    return MessageForm.grouped([coupling for _, coupling in found], rows_in, rows_edge)


def message_irreps(irreps_in: Irreps, irreps_edge: Irreps, irreps_out: Irreps | None = None) -> Irreps:
    """What the messages of :meth:`MessagePass.from_irreps` hold: paths times channels of each representation."""
    from eqcli.geometry.irreps import Irreps, uniform_multiplicity

    paths = Counter(result for result, _ in _couplings(irreps_in, irreps_edge, irreps_out))
    return Irreps([(n * uniform_multiplicity(irreps_in), result) for result, n in paths.items()])


def _couplings(
    irreps_in: Irreps, irreps_edge: Irreps, irreps_out: Irreps | None
) -> list[tuple[tuple[int, int], Coupling]]:
    """Degree and parity of the result of each coupling, and the coupling."""
    from eqcli.geometry.irreps import uniform_multiplicity

    uniform_multiplicity(irreps_in)
    if any(mul != 1 for mul, _ in irreps_edge):
        raise ValueError(f"harmonics come in one copy each, got {irreps_edge}")
    allowed = None if irreps_out is None else list(dict.fromkeys((ir.l, ir.p) for _, ir in irreps_out))
    found = []
    for (l1, p1, first), (l2, p2, second) in product(_starts(irreps_in), _starts(irreps_edge)):
        for l3 in range(abs(l1 - l2), l1 + l2 + 1):
            result = (l3, p1 * p2)
            if allowed is None or result in allowed:
                # Natural parity comes first among results of one degree.
                group = 2 * l3 + (result[1] != (-1) ** l3) if allowed is None else allowed.index(result)
                found.append((result, Coupling(l1, l2, l3, first, second, group)))
    return sorted(found, key=lambda entry: (entry[1].group, entry[1].first, entry[1].second))


def _starts(irreps: Irreps) -> list[tuple[int, int, int]]:
    """Degree, parity and first row of each entry."""
    found, row = [], 0
    for _, ir in irreps:
        found.append((ir.l, ir.p, row))
        row += 2 * ir.l + 1
    return found
