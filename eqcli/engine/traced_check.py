"""Whether a program made from a potential gives what the potential gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.tracing import arguments_of
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph

if TYPE_CHECKING:
    from eqcli.models.potentials.base import Potential

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest deviation of interaction energies, over the largest, and of forces and virials, over what adds up to them."""

Program = Callable[..., tuple[Tensor, Tensor]]
"""Atomic energies and gradients from what :class:`~eqcli.engine.tracing.Arguments` holds."""


def require_equal(potential: Potential, program: Program, what: str) -> None:
    """Raises InputError where the program differs from the potential on probes of different sizes."""
    for graph in probes(potential):
        try:
            reason = deviation(potential, program, graph)
        except RuntimeError as error:  # sizes that do not fit, above all
            reason = f"it fails for {graph.num_nodes} atoms: {str(error).strip().splitlines()[-1]}"
        if reason is not None:
            raise InputError(
                f"{what} is not the model: {reason}", hint="Nothing was written; use the model with Python."
            )


def deviation(potential: Potential, program: Program, graph: AtomGraph) -> str | None:
    """How energies, forces or virials differ by more than the tolerance on a graph; None when they do not."""
    from eqcli.models.potentials.derive import edge_vectors

    vectors = edge_vectors(graph, graph.positions, graph.cell).detach()
    arguments, place, place_of_edge = arguments_of(potential, graph, vectors)
    energies, gradients = program(*arguments)
    vectors.requires_grad_(True)
    with torch.enable_grad():
        expected = potential.energies(graph, vectors)
        slope = _gradient(expected, vectors)
    reference = potential.reference_energies[potential.species(graph)]
    vectors, found = vectors.detach(), gradients[place_of_edge]
    pairs = {
        "energies": (expected.detach() - reference, energies[place] - reference),
        "forces": (_forces(graph, slope), _forces(graph, found)),
        "virials": (_virials(graph, vectors, slope), _virials(graph, vectors, found)),
    }
    limit = TOLERANCE[potential.dtype]
    # What cancels between edges, and what sums of reference energies lose, is not the program's fault.
    force = float(_forces(graph, slope.abs(), -1).max())
    size = {
        "energies": max(float(pairs["energies"][0].abs().max()), 1e-15 * float(reference.abs().max()) / limit),
        "forces": force,
        "virials": force * float(vectors.norm(dim=1).sum()) / max(1, graph.num_nodes),
    }
    for name, (exact, other) in pairs.items():
        error = float((other - exact).abs().max())
        if not error <= limit * size[name]:
            n, e = graph.num_nodes, graph.edge_index.shape[1]
            return f"{name} differ by {error:.1e} (scale {size[name]:.1e}) for {n} atoms with {e} edges"
    return None


def _forces(graph: AtomGraph, gradients: Tensor, sign: int = 1) -> Tensor:
    """Forces from the gradients by edge vectors, `[N, 3]`; with the other sign the sum of what pulls and pushes."""
    sender, receiver = graph.edge_index
    zero = gradients.new_zeros(graph.num_nodes, 3)
    return zero.index_add(0, receiver, gradients).index_add(0, sender, -sign * gradients)


def _virials(graph: AtomGraph, vectors: Tensor, gradients: Tensor) -> Tensor:
    """`-sum r (dE/dr)^T` of each structure, symmetric, `[B, 3, 3]`."""
    each = vectors.unsqueeze(2) * gradients.unsqueeze(1)
    total = vectors.new_zeros(graph.n_structures, 3, 3).index_add(0, graph.batch[graph.edge_index[1]], each)
    return -0.5 * (total + total.transpose(1, 2))


def _gradient(energies: Tensor, vectors: Tensor) -> Tensor:
    if not energies.requires_grad or not vectors.numel():
        return torch.zeros_like(vectors)
    (found,) = torch.autograd.grad(energies.sum(), vectors, allow_unused=True)
    return torch.zeros_like(vectors) if found is None else found


def probes(potential: Potential) -> list[AtomGraph]:
    """One atom without neighbours, a few atoms, a crystal with images, and all together with every element."""
    elements = potential.elements.cpu()
    generator = torch.Generator().manual_seed(1)
    spacing = min(1.2, 0.5 * potential.cutoff)

    def cluster(count: int, periodic: bool) -> AtomGraph:
        side = spacing * count ** (1 / 3) + 0.7
        lattice = torch.cartesian_prod(*[torch.arange(4, dtype=torch.float64)] * 3)[:count] * spacing
        positions = lattice + 0.2 * torch.rand(count, 3, generator=generator, dtype=torch.float64)
        numbers = elements[torch.arange(count) % len(elements)]
        cell = (side * torch.eye(3, dtype=torch.float64)).numpy()
        pbc = torch.full((3,), periodic).numpy()
        return build_graph(numbers.numpy(), positions.numpy(), cell, pbc, potential.cutoff)

    several = [cluster(1, False), cluster(2, False), cluster(5, False), cluster(7, True)]
    everything = [*several, *(cluster(min(len(elements), 64), False),)]
    return [
        graph.to(potential.elements.device) for graph in [several[0], several[2], several[3], batch_graphs(everything)]
    ]
