"""TensorNet: Cartesian tensors as features (Simeon and De Fabritiis, NeurIPS 2023, arXiv:2306.06482)."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from eqcli.geometry.axis_orders import cartesian_basis
from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.graph.pairs import edge_pairs
from eqcli.graph.segments import segment_sum
from eqcli.models.potentials.base import Capabilities
from eqcli.models.potentials.features import AtomInputs, FeaturePotential
from eqcli.models.potentials.heads import AtomStates, Widths
from eqcli.nn.cartesian_tensors import MatrixProduct, TensorLinear, scale_parts, squared_norm, squared_norms
from eqcli.nn.convolution import natural_form
from eqcli.nn.envelope import ENVELOPES
from eqcli.nn.message_maps import MessageEdges
from eqcli.nn.message_pass import MessagePass
from eqcli.nn.outer_sum import outer_sum
from eqcli.nn.pair_messages import PairedEdges, pair_messages
from eqcli.nn.radial import RADIAL_BASES

if TYPE_CHECKING:
    from eqcli.models.potentials.config import TensorNetConfig


class Neighbours(NamedTuple):
    """What the layers know of the neighbours.

    Attributes (E edges, P pairs, K radial functions)
    ----------
    radial, envelope
        `[P + 1, K]` and `[P + 1, 1]`; the last row is an atom with itself, at distance zero.
    pair
        `[E]`, the pair of each edge.
    tensors
        Identity, cross product and traceless square of the direction of each edge, packed, `[E, 9]`.
    edges
        For messages.
    paired
        The same where each edge has its opposite and messages are best made by pairs, else None.
    charge
        1 + 0.1 q of each atom, `[M, 1, 1]`, or None without charges.
    """

    radial: Tensor
    envelope: Tensor
    pair: Tensor
    tensors: Tensor
    edges: MessageEdges
    paired: PairedEdges | None
    charge: Tensor | None


class TensorNet(FeaturePotential):
    """Energies from tensors that neighbours pass on and atoms multiply as matrices.

    The embedding sums over the neighbours, and the atom itself, what elements and distance make of the identity,
    the cross product and the square of the direction (eqs. 5 to 8). A layer adds to the features products of them
    with sums over neighbours (eqs. 9 to 12); norms of the three parts of the result are read out.

    Messages depend on the distance, not on its direction: they are computed once for the two edges of a pair.
    """

    depth_key: ClassVar[str | None] = "num_layers"
    least_depth: ClassVar[int] = 0
    probe_gain: ClassVar[float] = 3.0

    config: TensorNetConfig
    layers: Any  # ModuleList of Interaction: torch types no elements

    def __init__(self, config: TensorNetConfig, elements: list[int]) -> None:
        c = config.channels
        super().__init__(config, elements, Widths(scalars=c, vectors=c, tensors=c), hidden=max(1, c // 2))
        self.accepts_charge = config.charge  # type: ignore[misc]
        self.reflections = config.group == "O(3)"
        self.directions = DirectionTensors()
        self.basis = RADIAL_BASES[config.radial_type](
            config.cutoff, config.num_radial_basis, trainable=config.trainable_basis
        ).save_constants()
        self.envelope = ENVELOPES[config.envelope](config.cutoff)
        self.embedding = TensorEmbedding(len(self.elements), c, config.num_radial_basis)
        self.layers = nn.ModuleList(
            Interaction(c, config.num_radial_basis, parity=self.reflections) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(3 * c)
        self.linear = nn.Linear(3 * c, c)

    def capabilities(self) -> Capabilities:
        """The embedding squares sums over neighbours; a layer multiplies three of them and more."""
        layers = self.config.num_layers
        return Capabilities(layers + 1, edge_degree=2, message_degree=2, factors=3 if layers else 2)

    def states(self, inputs: AtomInputs) -> AtomStates:
        neighbours = self.neighbours(inputs)
        x = self.embedding(inputs, neighbours, self.avg_num_neighbors)
        for layer in self.layers:
            x = layer(x, neighbours, self.avg_num_neighbors)
        scalars = nn.functional.silu(self.linear(self.norm(squared_norms(x))))
        if not self.config.heads:
            return AtomStates(scalars)
        return AtomStates(scalars, *self.directions.vectors_and_tensors(x))

    def neighbours(self, inputs: AtomInputs) -> Neighbours:
        """Radial features of the pairs and tensors of the edges."""
        pairs = edge_pairs(inputs.edge_index, inputs.edge_shift, inputs.vectors)
        if pairs is None:
            pair, r = torch.arange(len(inputs.sender), device=inputs.sender.device), inputs.distances
        else:
            pair, r = pairs.pair, inputs.distances.index_select(0, pairs.edge)
        edges, paired = MessageEdges(inputs.sender, inputs.receiver, inputs.n_atoms), None
        # On a GPU the fused kernels for messages are faster.
        if pairs is not None and 2 * len(pairs.edge) == len(pair) and not r.is_cuda:
            paired = PairedEdges(edges, pair, pairs.edge)
        r = torch.cat([r, r.new_zeros(1)])
        envelope, radial = self.envelope(r).unsqueeze(1), self.basis(r)
        if self.config.radial_type == "expnormal":
            radial = radial * envelope
        charge = None
        if self.config.charge:
            charge = (1.0 + 0.1 * inputs.charge).index_select(0, inputs.batch).view(-1, 1, 1)
        return Neighbours(
            radial,
            envelope,
            pair,
            self.directions(inputs.vectors / inputs.distances.unsqueeze(1)),
            edges,
            paired,
            charge,
        )


class DirectionTensors(ConstantModule):
    """1, [r]_x and r r^T - 1/3 of unit vectors r, packed, `[E, 3] -> [E, 9]`."""

    factors: Tensor
    symmetric: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.harmonics = SphericalHarmonics(2)
        # Norms of the three tensors over those of the harmonics, sqrt(2 l + 1); the basis holds [e]_x as -e.
        norms = [sqrt(3.0)] + [-sqrt(2.0 / 3.0)] * 3 + [sqrt(2.0 / 3.0 / 5.0)] * 5
        self.register_constant("factors", torch.tensor(norms, dtype=torch.float64))
        self.register_constant("symmetric", cartesian_basis(2)[4:].reshape(5, 9))

    def forward(self, directions: Tensor) -> Tensor:
        tensors: Tensor = self.harmonics(directions) * self.factors
        return tensors

    def vectors_and_tensors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors v with antisymmetric part [v]_x, `[M, 3, C]`, and the symmetric parts, `[M, 3, 3, C]`."""
        tensors = torch.matmul(self.symmetric.T, x[:, 4:]).unflatten(1, (3, 3))
        return x[:, 1:4] * -sqrt(0.5), tensors


class TensorEmbedding(nn.Module):
    """`sum_j Z_ij (f_I 1 + f_A [r_ij]_x + f_S (r_ij r_ij^T - 1/3))`, mixed and scaled by its norm, `-> [M, 9, C]`.

    The f are linear in the radial features and Z depends on the two elements alone. So the outer products of
    radial features and directions are summed over the neighbours of each element before they meet any weights.
    """

    kinds: Tensor

    def __init__(self, n_elements: int, channels: int, num_radial_basis: int) -> None:
        super().__init__()
        c = channels
        self.n_elements = n_elements
        self.elements = nn.Parameter(torch.randn(n_elements, c))
        self.pair = nn.Linear(2 * c, c)
        bound = num_radial_basis**-0.5
        self.radial = nn.Parameter(torch.empty(3, num_radial_basis + 1, c).uniform_(-bound, bound))
        # Of each of the nine components: scalar, vector or tensor.
        self.register_buffer("kinds", torch.tensor([0] + [1] * 3 + [2] * 5), persistent=False)
        self.norm = nn.LayerNorm(c)
        self.scalars = nn.Sequential(nn.Linear(c, 2 * c), nn.SiLU(), nn.Linear(2 * c, 3 * c), nn.SiLU())
        self.tensors = TensorLinear(c, c)

    def forward(self, inputs: AtomInputs, neighbours: Neighbours, divisor: Tensor) -> Tensor:
        centre, other = self._pair_terms()
        # The last feature is the bias.
        radial = torch.cat([neighbours.radial, torch.ones_like(neighbours.envelope)], dim=1) * neighbours.envelope
        x = self._sum_neighbours(inputs, neighbours, radial[:-1], centre, other) / divisor.to(radial.dtype)
        alone = sqrt(3.0) * (centre + other) * (radial[-1:] @ self.radial[0])  # the atom with itself, per element
        x = x + nn.functional.pad(alone.index_select(0, inputs.species).unsqueeze(1), (0, 0, 0, 8))
        factors = self.scalars(self.norm(squared_norm(x)))
        return scale_parts(self.tensors(x), factors)

    def _pair_terms(self) -> tuple[Tensor, Tensor]:
        """Z_ij = a + b: the terms of the centre and of the neighbour, `[n_elements, C]` each."""
        of_centre, of_other = self.pair.weight.chunk(2, dim=1)
        return nn.functional.linear(self.elements, of_centre, self.pair.bias), self.elements @ of_other.T

    def _sum_neighbours(
        self, inputs: AtomInputs, neighbours: Neighbours, radial: Tensor, centre: Tensor, other: Tensor
    ) -> Tensor:
        key = inputs.receiver * self.n_elements + inputs.species.index_select(0, inputs.sender)
        groups, group = torch.unique(key, return_inverse=True)
        atom, element = groups // self.n_elements, groups % self.n_elements
        sums = outer_sum(neighbours.tensors, radial.index_select(0, neighbours.pair), group, len(groups))
        weight = self.radial.index_select(0, self.kinds)
        each = torch.bmm(sums.transpose(0, 1), weight)  # [9, groups, C]
        pair = centre.index_select(0, inputs.species.index_select(0, atom)) + other.index_select(0, element)
        return segment_sum((each * pair).transpose(0, 1), atom, inputs.n_atoms)


class Interaction(nn.Module):
    """One layer, `[M, 9, C] -> [M, 9, C]`.

    X <- X / (1 + |X|^2) first; then, with Y = W X and M_i = sum_j f(r_ij) Y_j, the atom itself included,
    dX = W (Y M + M Y) / (1 + |Y M + M Y|^2) and X <- X + dX + dX^2. For SO(3) it is 2 Y M.
    """

    def __init__(self, channels: int, num_radial_basis: int, *, parity: bool) -> None:
        super().__init__()
        c = channels
        self.parity = parity
        self.radial = nn.Sequential(
            nn.Linear(num_radial_basis, c), nn.SiLU(),
            nn.Linear(c, 2 * c), nn.SiLU(),
            nn.Linear(2 * c, 3 * c), nn.SiLU(),
        )  # fmt: skip
        self.tensors_in, self.tensors_out = TensorLinear(c, c), TensorLinear(c, c)
        self.message_pass = MessagePass(natural_form(2, 0, 2))
        self.product = MatrixProduct(parity=parity)
        self.square = MatrixProduct(parity=False)

    def forward(self, x: Tensor, neighbours: Neighbours, divisor: Tensor) -> Tensor:
        x = x / (squared_norm(x) + 1.0).unsqueeze(1)
        y = self.tensors_in(x)
        weights = self.radial(neighbours.radial) * neighbours.envelope
        product = self.product(y, self._messages(y, weights, neighbours, divisor.to(x.dtype)))
        if self.parity and neighbours.charge is not None:
            product = product * neighbours.charge
        change = self.tensors_out(product / (squared_norm(product) + 1.0).unsqueeze(1))
        squared = 0.5 * self.square(change, change)
        if neighbours.charge is not None:
            squared = squared * neighbours.charge
        return x + change + squared

    def _messages(self, y: Tensor, weights: Tensor, neighbours: Neighbours, divisor: Tensor) -> Tensor:
        others, alone = weights[:-1] / divisor, scale_parts(y, weights[-1])
        if neighbours.paired is not None:
            return pair_messages(y, others, neighbours.paired) + alone
        each = others.index_select(0, neighbours.pair)
        return self.message_pass(y, each, each.new_ones(len(each), 1), neighbours.edges) + alone
