"""FAENet: messages from raw edge vectors, symmetric by frames (Duval et al., ICML 2023, arXiv:2305.05577)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from eqcli.graph.segments import segment_sum, spread
from eqcli.models.potentials.averaging import FrameAverage
from eqcli.models.potentials.features import AtomInputs, FeaturePotential, Readout, bonded
from eqcli.models.potentials.heads import AtomStates, Widths
from eqcli.nn.envelope import polynomial_envelope
from eqcli.nn.graph_norm import GraphNorm
from eqcli.nn.radial import RADIAL_BASES

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.configs.faenet import FAENetConfig

GAIN = 1.5
"""Of initial weights: about what SiLU takes from the variance."""

RESIDUAL = 1.0 / 3.0
"""Of initial updates beside the features they are added to: without it, features grow from layer to layer."""


class FAENet(FeaturePotential):
    """Energies from a network that sees edge vectors as they lie, averaged over frames.

    Per layer, with e_ij from r_ij and its length (sections 4.2 and 4.3):

        f_ij = act(W [e_ij | h_i | h_j])
        h_i <- h_i + up(act(norm(sum_j u(r_ij) f_ij * down(h_j))))

    The envelope u, which is not in the paper, makes the energy smooth at the cutoff. The network alone has no
    symmetry but under permutations and translations.
    """

    depth_key: ClassVar[str | None] = "num_layers"

    config: FAENetConfig
    layers: Any

    def __init__(self, config: FAENetConfig, elements: list[int]) -> None:
        if config.forces == "direct":
            self.direct = ("forces",)
        hidden = config.hidden_channels
        super().__init__(config, elements, Widths(hidden, vectors=hidden), hidden // 2 or 1)
        self.average = FrameAverage(config.frames, self.cutoff)
        self.exact, self.reflections = config.frames.exact, config.frames.reflections
        if config.pooling == "weighted" and self.readout is not None:
            self.readout = WeightedReadout(hidden, hidden // 2 or 1)
        self.embedding = nn.Embedding(len(self.elements), hidden)
        self.embed = nn.Linear(hidden, hidden)
        self.basis = RADIAL_BASES[config.radial_type](config.cutoff, config.num_radial_basis)
        self.envelope = polynomial_envelope(config.cutoff)
        half = config.num_filters // 2
        self.edge_vector = nn.Linear(3, half)
        self.edge_distance = nn.Linear(config.num_radial_basis, config.num_filters - half)
        self.layers = nn.ModuleList(
            Interaction(hidden, config.num_filters, norm=config.graph_norm) for _ in range(config.num_layers)
        )
        self.skip = nn.Linear(hidden * (config.num_layers + 1), hidden) if config.skip == "concat" else None
        needs = {"vector", "atom-vector", "dipole", "tensor"}
        vectors = any(head.kind in needs for head in config.heads.values())
        self.vectors = _perceptron(hidden, 3 * hidden) if vectors else None
        self.forces = _perceptron(hidden, 3) if self.direct else None
        self._reset()

    def _reset(self) -> None:
        """Initial weights under which forces, which are derivatives, begin at the size of the energy.

        Each part of an input counts alike, however many channels it has; with one fan-in for all, the few numbers
        that hold the geometry would be lost among those of the elements.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=GAIN)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.edge_vector.weight, std=0.5)  # vectors are of a few Å
        nn.init.normal_(self.edge_distance.weight)  # a few functions of a local basis are large at a time
        for layer in self.layers:
            by_edge, by_receiver, by_sender = layer.parts()
            nn.init.normal_(by_edge, std=GAIN * layer.filters**-0.5)
            for by_atom in (by_receiver, by_sender):
                nn.init.normal_(by_atom, std=(2 * layer.hidden) ** -0.5)
            with torch.no_grad():
                layer.up.weight.mul_(RESIDUAL)

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        return self.average(super().compute, graph, vectors, self.quantities, training=self.training)

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return self._averaged_of_atoms(super().interaction_energies, graph, vectors)

    def last_layer(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return self._averaged_of_atoms(super().last_layer, graph, vectors)

    def _averaged_of_atoms(self, function: Any, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Invariants of atoms, averaged."""
        return self.average(lambda *of: {"atomic_energies": function(*of)}, graph, vectors, {}, training=self.training)[
            "atomic_energies"
        ]

    def states(self, inputs: AtomInputs) -> AtomStates:
        edges = torch.cat([self.edge_vector(inputs.vectors), self.edge_distance(self.basis(inputs.distances))], dim=1)
        edges = silu(edges)  # [E, filters]
        # Divided here, once, and not in each layer. Neighbours differ in sign: their sum grows as the root.
        envelope = (self.envelope(inputs.distances) * self.avg_num_neighbors.to(edges.dtype).rsqrt()).unsqueeze(1)
        h = silu(self.embed(self.embedding(inputs.species)))
        features = [h]
        for layer in self.layers:
            h = layer(h, edges, envelope, inputs)
            features.append(h)
        if self.skip is not None:
            h = silu(self.skip(torch.cat(features, dim=1)))
        return AtomStates(h, self._vectors(h, inputs), None, self._forces(h, inputs))

    def _vectors(self, h: Tensor, inputs: AtomInputs) -> Tensor | None:
        """Numbers that are vectors once they are turned back from the frame, `[M, 3, hidden]`."""
        if self.vectors is None:
            return None
        faded = self.vectors(h) * bonded(inputs, inputs.n_atoms, self.cutoff).unsqueeze(1)
        return faded.view(len(h), 3, -1)

    def _forces(self, h: Tensor, inputs: AtomInputs) -> Tensor | None:
        """Forces in the frame, `[M, 3]`: zero without neighbours."""
        if self.forces is None:
            return None
        forces: Tensor = self.forces(h) * bonded(inputs, inputs.n_atoms, self.cutoff).unsqueeze(1)
        return forces


class Interaction(nn.Module):
    """One layer, `[M, hidden] -> [M, hidden]`."""

    def __init__(self, hidden: int, filters: int, *, norm: bool) -> None:
        super().__init__()
        self.filters, self.hidden = filters, hidden
        self.message = nn.Linear(filters + 2 * hidden, filters)
        self.down = nn.Linear(hidden, filters)
        self.norm = GraphNorm(filters) if norm else None
        self.up = nn.Linear(filters, hidden)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The columns of the map that makes messages: those of the edge, of its receiver and of its sender."""
        each = self.message.weight.split([self.filters, self.hidden, self.hidden], dim=1)
        return each[0], each[1], each[2]

    def forward(self, h: Tensor, edges: Tensor, envelope: Tensor, inputs: AtomInputs) -> Tensor:
        receiver, sender = inputs.receiver, inputs.sender
        # W [e | h_i | h_j] is linear: the parts of atoms are taken once per atom.
        by_edge, by_receiver, by_sender = self.parts()
        pieces = spread(linear(h, by_receiver, self.message.bias), receiver)
        pieces = pieces + linear(h, by_sender).index_select(0, sender)
        filters = silu(torch.addmm(pieces, edges, by_edge.t()))  # [E, filters]
        carried = silu(self.down(h)).index_select(0, sender)
        summed = segment_sum(envelope * filters * carried, receiver, len(h))
        if self.norm is not None:
            summed = self.norm(summed, inputs.batch, inputs.n_structures)
        update: Tensor = silu(self.up(silu(summed)))
        return h + update


class WeightedReadout(Readout):
    """Energy of an atom times a weight that is learned from its scalars too."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden)
        self.importance = nn.Linear(width, 1)

    def activations(self, scalars: Tensor) -> Tensor:
        return super().activations(scalars) * self.importance(scalars)


def _perceptron(width: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, size))
