"""Potentials that are wrong in one way each, and structures to find it on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eqcli.audit.subject import Subject
from eqcli.graph.atom_graph import AtomGraph
from eqcli.io.structure import Structure
from eqcli.models.potentials.derive import evaluate
from eqcli.models.prediction import Prediction
from tests.toy import ToyPotential


def molecule() -> Structure:
    """An ethanol-like chain without symmetry."""
    positions = [
        [0.00, 0.00, 0.00],
        [1.50, 0.10, -0.05],
        [2.05, 1.42, 0.12],
        [-0.45, 0.93, 0.41],
        [-0.36, -0.84, 0.63],
        [1.93, -0.61, 0.86],
        [3.01, 1.40, 0.31],
    ]
    return Structure(np.array([6, 6, 8, 1, 1, 1, 1]), np.array(positions))


def crystal() -> Structure:
    """A skewed cell of three atoms, smaller than the cutoff."""
    cell = np.array([[2.9, 0.1, 0.0], [0.4, 3.1, 0.2], [-0.3, 0.5, 3.3]])
    return Structure(np.array([6, 8, 6]), np.array([[0.1, 0, 0], [1.5, 1.4, 0.3], [0.3, 1.6, 1.9]]), cell, np.ones(3))


def pair_sum(model: ToyPotential, graph: AtomGraph, pair: Tensor) -> Tensor:
    """Pair energies summed over neighbours, `[N]` float64."""
    return pair.new_zeros(graph.num_nodes).index_add(0, graph.edge_index[1], pair).double()


class Directional(ToyPotential):
    """Bonds along z are stronger: no rotation keeps the energy."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        plain = super().interaction_energies(graph, vectors)
        unit = vectors.to(self.dtype) / vectors.norm(dim=1, keepdim=True)
        extra = 1e-6 * unit[:, 2] ** 2 * self._switch(vectors)
        return plain + pair_sum(self, graph, extra)

    def _switch(self, vectors: Tensor) -> Tensor:
        x = (vectors.to(self.dtype).norm(dim=1) / self.cutoff).clamp(max=1.0)
        return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5


class Handed(ToyPotential):
    """Sees the sign of a triple product: rotations hold, mirror images do not."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        plain = super().interaction_energies(graph, vectors)
        r = vectors.to(self.dtype)
        weight = (1 - (r.norm(dim=1) / self.cutoff).clamp(max=1.0) ** 2) ** 3
        moments = [
            r.new_zeros(graph.num_nodes, 3).index_add(0, graph.edge_index[1], r * (weight**k)[:, None])
            for k in (1, 2, 3)
        ]
        triple = (moments[0] * torch.linalg.cross(moments[1], moments[2])).sum(dim=1)
        return plain + 1e-3 * triple.double()


class Anchored(ToyPotential):
    """Feels how far atoms are from the origin of space; a copy elsewhere has another energy too."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return super().interaction_energies(graph, vectors) * (1 + 1e-8 * graph.positions.norm(dim=1))


class Ordered(ToyPotential):
    """Keeps three neighbours of each atom, the first in the list: a cap that order and crossings of others decide."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        centre = graph.edge_index[1]
        start = torch.searchsorted(centre, torch.arange(graph.num_nodes))
        rank = torch.arange(len(centre)) - start[centre]
        kept = rank < 3
        slim = AtomGraph(**{**graph.to_dict(), "edge_index": graph.edge_index[:, kept]})
        return super().interaction_energies(slim, vectors[kept])


class OneImage(ToyPotential):
    """Sees of each neighbour the nearest image alone, and none of its own."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        sender, centre = graph.edge_index
        key = centre * graph.num_nodes + sender
        length = vectors.detach().norm(dim=1)
        nearest = torch.full((graph.num_nodes**2,), torch.inf, dtype=length.dtype)
        nearest = nearest.scatter_reduce(0, key, length, "amin")
        kept = (length <= nearest[key] + 1e-9) & (sender != centre)
        slim = AtomGraph(**{**graph.to_dict(), "edge_index": graph.edge_index[:, kept]})
        return super().interaction_energies(slim, vectors[kept])


class NotAGradient(ToyPotential):
    """Part of the energy is hidden from differentiation, so forces and stress miss it."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return super().interaction_energies(graph, vectors) + 0.01 * super().interaction_energies(
            graph, vectors.detach()
        )


class HardCutoff(ToyPotential):
    """A Morse potential that simply ends at the cutoff."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        decay = torch.exp(-0.3 * (vectors.to(self.dtype).norm(dim=1) - 1.0))
        return super().interaction_energies(graph, vectors) - pair_sum(self, graph, 0.01 * decay)


class Kinked(ToyPotential):
    """Falls to zero linearly at the cutoff: the energy is continuous and the force is not."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        r = vectors.to(self.dtype).norm(dim=1)
        return super().interaction_energies(graph, vectors) + pair_sum(self, graph, 0.01 * (r - self.cutoff))


class LonelyEnergy(ToyPotential):
    """Gives atoms without neighbours an energy of their own."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return super().interaction_energies(graph, vectors) + 1e-3


class Averaging(ToyPotential):
    """Energies depend on what else is in the batch."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        return super().interaction_energies(graph, vectors) * (1 + 1e-9 * (graph.n_structures - 1))


class SumOfSquares(ToyPotential):
    """Normalises by the number of atoms of the structure: intensive, not extensive."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        size = torch.bincount(graph.batch).double()[graph.batch]
        return super().interaction_energies(graph, vectors) * (1 + 1e-6 * size)


class Restless(ToyPotential):
    """Adds noise that no seed controls from outside."""

    calls = 0

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        self.calls += 1
        return super().interaction_energies(graph, vectors) * (1 + 1e-15 * self.calls)


class Explosive(ToyPotential):
    """Not a number as soon as two atoms come closer than 1 Å."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        r = vectors.norm(dim=1)
        return super().interaction_energies(graph, vectors) + pair_sum(self, graph, 0 * torch.log(r - 1.0))


class Fragile(ToyPotential):
    """Raises when there is no neighbour at all."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        if vectors.shape[0] == 0:
            raise RuntimeError("no edges")
        return super().interaction_energies(graph, vectors)


class Attractive(ToyPotential):
    """Pulls atoms together at short range."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        r = vectors.to(self.dtype).norm(dim=1)
        return super().interaction_energies(graph, vectors) - pair_sum(self, graph, 200 * torch.exp(-4 * r**2))


def wrong_stress_sign(potential: ToyPotential) -> Subject:
    """A potential whose stress has the sign of the other convention."""

    def predict(graph: AtomGraph, *, forces: bool, stress: bool) -> Prediction:
        result = evaluate(potential.double(), graph, forces=forces, stress=stress)
        return Prediction({key: -value if key == "stress" else value for key, value in result.items()})

    return Subject(predict, cutoff=potential.cutoff, reference_energies={1: 0.0, 6: 0.0, 8: 0.0})
