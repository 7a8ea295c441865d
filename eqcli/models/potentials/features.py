"""Potentials that make features of atoms: energy, direct forces and properties are read from those."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from eqcli.graph.segments import segment_sum
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.heads import AtomStates, Heads, Widths
from eqcli.nn.activation import scaled_silu
from eqcli.nn.envelope import polynomial_cutoff

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.configs.common import FeatureConfig

SMOOTHNESS = 5
"""Order of the polynomial envelope that fades the mean binding energy in with the neighbours."""


@dataclass
class AtomInputs:
    """A batch as a network takes it, in the precision of the network.

    A lone atom of each element stands at the end, each a structure of its own: what the network gives them is
    taken off, so that isolated atoms keep their reference energies whatever the weights.

    Attributes (M = N + number of elements, E directed edges)
    ----------
    species
        `[M]` int64, index of the element.
    edge_index
        `[2, E]` int64, row 0 the neighbour j (sender), row 1 the centre i (receiver), sorted by i.
    edge_shift
        `[E, 3]` float64, cells between the two atoms.
    vectors, distances
        r_ij from centre to neighbour `[E, 3]` and its length `[E]`, Å.
    batch
        `[M]` int64, the structure of each atom.
    n_structures
        B + number of elements.
    charge
        Total charge of each structure, `[n_structures]`, e; zero for the lone atoms.
    """

    species: Tensor
    edge_index: Tensor
    edge_shift: Tensor
    vectors: Tensor
    distances: Tensor
    batch: Tensor
    n_structures: int
    charge: Tensor

    @property
    def n_atoms(self) -> int:
        """M, the lone atoms included."""
        return int(self.species.shape[0])

    @property
    def sender(self) -> Tensor:
        """Neighbour of each edge, `[E]`."""
        return self.edge_index[0]

    @property
    def receiver(self) -> Tensor:
        """Centre of each edge, `[E]`, sorted."""
        return self.edge_index[1]


class Readout(nn.Module):
    """Energy of an atom from its scalars by a perceptron with one hidden layer, `[N, F] -> [N]`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, hidden)
        self.weight = nn.Parameter(torch.randn(hidden))

    def activations(self, scalars: Tensor) -> Tensor:
        """The last layer, `[N, F] -> [N, hidden]`."""
        return scaled_silu(self.linear(scalars))

    def forward(self, scalars: Tensor) -> Tensor:
        return self.activations(scalars) @ (self.weight * len(self.weight) ** -0.5)


class FeaturePotential(Potential):
    """A potential whose subclass makes features of atoms; what is read from them stands here.

    The energy of an atom is scale * (readout(s_i) - readout(s of the lone atom)) + shift * tanh(sum_j u(r_ij)):
    zero without neighbours. A subclass with forces of its own sets `direct = ("forces",)` before this class is
    initialised and returns them in its states.

    Parameters
    ----------
    widths
        How many scalars, vectors and tensors the states have.
    hidden
        Width of the hidden layer of the energy readout.
    """

    config: FeatureConfig
    scale: Tensor
    shift: Tensor
    avg_num_neighbors: Tensor

    def __init__(self, config: FeatureConfig, elements: list[int], widths: Widths, hidden: int) -> None:
        super().__init__(config, elements)
        self.readout = Readout(widths.scalars, hidden) if config.energy else None
        self.heads = Heads(config.heads, widths)
        self.quantities = self.heads.quantities
        standard = ("energy", "forces") if self.direct else ("energy", "forces", "stress")
        self.outputs = (*(standard if config.energy else ()), *self.quantities)
        self.register_buffer("scale", torch.tensor(1.0, dtype=torch.float64))
        self.register_buffer("shift", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("avg_num_neighbors", torch.tensor(config.avg_num_neighbors or 1.0, dtype=torch.float64))

    @abstractmethod
    def states(self, inputs: AtomInputs) -> AtomStates:
        """Features of all M atoms."""

    def initialise(self, statistics: Statistics) -> None:
        self.scale.fill_(statistics.scale)
        self.shift.fill_(statistics.shift)
        if self.config.avg_num_neighbors is None:
            # Isolated atoms alone have no neighbours; any divisor is right for them.
            self.avg_num_neighbors.fill_(statistics.avg_num_neighbors or 1.0)
        self.heads.initialise(statistics.properties)

    def inputs(self, graph: AtomGraph, vectors: Tensor) -> AtomInputs:
        """What the network takes, from a graph and its edge vectors `[E, 3]` float64."""
        n_elements, b = len(self.elements), graph.n_structures
        alone = torch.arange(n_elements, device=vectors.device)
        vectors = vectors.to(self.dtype)
        return AtomInputs(
            species=torch.cat([self.species(graph), alone]),
            edge_index=graph.edge_index,
            edge_shift=graph.edge_shift,
            vectors=vectors,
            distances=vectors.norm(dim=1),
            batch=torch.cat([graph.batch, b + alone]),
            n_structures=b + n_elements,
            charge=torch.cat([graph.charge.to(self.dtype), vectors.new_zeros(n_elements)]),
        )

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        inputs = self.inputs(graph, vectors)
        return self.interactions(inputs, self.states(inputs))

    def interactions(self, inputs: AtomInputs, states: AtomStates) -> Tensor:
        """Energy of each of the N atoms without its reference energy, float64."""
        assert self.readout is not None
        n = inputs.n_atoms - len(self.elements)
        learned = self.readout(states.scalars)
        learned = learned[:n] - learned[n:].index_select(0, inputs.species[:n])
        return self.scale * learned.double() + self.shift * bonded(inputs, n, self.cutoff).double()

    def compute(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        inputs = self.inputs(graph, vectors)
        states = self.states(inputs)
        result: dict[str, Tensor] = {}
        if self.readout is not None:
            result["atomic_energies"] = self.interactions(inputs, states) + self.reference_energies[self.species(graph)]
        n = graph.num_nodes
        if self.uncertainty is not None:
            result["energy_std"] = self.uncertainty(self._last_layer(inputs, states), graph)
        if states.forces is not None:
            result["forces"] = self.scale * states.forces[:n].double()
        return result | self.heads(states.first(n), graph)

    def last_layer(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        if self.readout is None:
            return super().last_layer(graph, vectors)
        inputs = self.inputs(graph, vectors)
        return self._last_layer(inputs, self.states(inputs))

    def _last_layer(self, inputs: AtomInputs, states: AtomStates) -> Tensor:
        assert self.readout is not None
        n = inputs.n_atoms - len(self.elements)
        hidden = self.readout.activations(states.scalars)
        return (hidden[:n] - hidden[n:].index_select(0, inputs.species[:n])).double()


def bonded(inputs: Any, n: int, cutoff: float) -> Tensor:
    """tanh of the sum of the envelopes of an atom's neighbours, `[n]`: 0 without any, near 1 when bonded."""
    envelope = polynomial_cutoff(inputs.distances / cutoff, SMOOTHNESS)
    return torch.tanh(segment_sum(envelope, inputs.receiver, n))
