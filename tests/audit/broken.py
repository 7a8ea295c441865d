"""Potentials that are wrong in one way each, and structures to find it on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from eqcli.audit.laws import OUTPUTS, Law
from eqcli.audit.orbit import fibonacci_sphere
from eqcli.audit.subject import Subject
from eqcli.graph.atom_graph import AtomGraph
from eqcli.io.structure import Structure
from eqcli.models.potentials.derive import evaluate
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
        extra = 1e-6 * unit[:, 2] ** 2 * smooth(vectors.to(self.dtype), self.cutoff)
        return plain + pair_sum(self, graph, extra)


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


class StochasticFrame(ToyPotential):
    """Bonds along the axis of a random frame are stronger, another frame at every call: invariant in expectation."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.generator = torch.Generator().manual_seed(0)

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        plain = super().interaction_energies(graph, vectors)
        axis = torch.nn.functional.normalize(torch.randn(3, generator=self.generator, dtype=torch.float64), dim=0)
        along = (vectors / vectors.norm(dim=1, keepdim=True)) @ axis
        return plain + pair_sum(self, graph, 1e-3 * (along**2 - 1 / 3) * smooth(vectors, self.cutoff))

    def __deepcopy__(self, memo: dict[int, object]) -> StochasticFrame:
        return StochasticFrame(self.config, self.elements.tolist())


class Gridded(ToyPotential):
    """Applies a nonlinearity on few points of the sphere: equivariant but for the error of the quadrature."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        plain = super().interaction_energies(graph, vectors)
        unit = vectors / vectors.norm(dim=1, keepdim=True)
        points = torch.from_numpy(fibonacci_sphere(24))
        signal = vectors.new_zeros(graph.num_nodes, len(points)).index_add(
            0, graph.edge_index[1], smooth(vectors, self.cutoff)[:, None] * torch.exp(2 * (unit @ points.T - 1))
        )
        extra = 0.1 * torch.nn.functional.silu(signal).mean(dim=1)
        # An atom alone has the signal zero and no energy.
        return plain + extra


class PreferredCell(ToyPotential):
    """Feels where in the cell an atom lies: whole lattice vectors change nothing, the choice of origin does."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        plain = super().interaction_energies(graph, vectors)
        fractional = torch.bmm(graph.positions.unsqueeze(1), torch.linalg.pinv(graph.cell)[graph.batch]).squeeze(1)
        return plain * (1 + 1e-6 * torch.cos(2 * torch.pi * fractional).sum(dim=1))


class EnergyOnly(ToyPotential):
    """Declares that its gradients are of no use."""

    outputs = ("energy",)


def smooth(vectors: Tensor, cutoff: float) -> Tensor:
    """Falls from 1 to 0 at the cutoff with two derivatives, `[E]`."""
    x = (vectors.norm(dim=1) / cutoff).clamp(max=1.0)
    return 1 - 10 * x**3 + 15 * x**4 - 6 * x**5


def of_toy(change: Callable[[AtomGraph, dict[str, Tensor]], dict[str, Tensor]], **outputs: Law) -> Subject:
    """The toy potential with changed or further outputs."""
    potential = ToyPotential().double()

    def predict(graph: AtomGraph, *, forces: bool, stress: bool) -> dict[str, Tensor]:
        result = dict(evaluate(potential, graph, forces=forces, stress=stress))
        return result | change(graph, result)

    references = {1: 0.0, 6: 0.0, 8: 0.0}
    return Subject(predict, cutoff=potential.cutoff, reference_energies=references, outputs={**OUTPUTS, **outputs})


def swirling() -> Subject:
    """Forces of a model that predicts them directly: each is turned a little by those of the neighbours."""

    def swirl(graph: AtomGraph, result: dict[str, Tensor]) -> dict[str, Tensor]:
        if "forces" not in result:
            return {}
        sender, centre = graph.edge_index
        shift = torch.einsum("ei,eij->ej", graph.edge_shift, graph.cell[graph.batch[centre]])
        r = graph.positions[sender] - graph.positions[centre] + shift
        field = r.new_zeros(graph.num_nodes, 3).index_add(0, centre, r * smooth(r, 4.0)[:, None])
        density = r.new_zeros(graph.num_nodes).index_add(0, centre, smooth(r, 4.0))
        return {"forces": result["forces"] + 1e-2 * field * density[:, None] ** 2}

    return of_toy(swirl)


def moments(graph: AtomGraph) -> list[Tensor]:
    """Three independent vectors of every structure, `[B, 3]`, from distances to its centre alone."""
    size = torch.bincount(graph.batch, minlength=graph.n_structures).double()[:, None]
    centre = graph.positions.new_zeros(graph.n_structures, 3).index_add(0, graph.batch, graph.positions) / size
    r = graph.positions - centre[graph.batch]
    weight = graph.numbers.double()[:, None]
    powers = [weight * r * r.norm(dim=1, keepdim=True) ** k for k in (0, 1, 2)]
    return [r.new_zeros(graph.n_structures, 3).index_add(0, graph.batch, p) for p in powers]


def triple(graph: AtomGraph) -> Tensor:
    """A pseudoscalar of every structure, `[B]`."""
    a, b, c = moments(graph)
    return (a * torch.linalg.cross(b, c)).sum(dim=1)


def wrong_stress_sign() -> Subject:
    """A potential whose stress has the sign of the other convention."""
    return of_toy(lambda graph, result: {key: -value for key, value in result.items() if key == "stress"})
