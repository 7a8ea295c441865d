"""The energy of a potential as a graph of torch's own operations, for any number of atoms, edges and structures."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.tracing import tracing_graph
from eqcli.graph.atom_graph import AtomGraph

if TYPE_CHECKING:
    from torch.fx import GraphModule

    from eqcli.models.potentials.base import Potential


class Arguments(NamedTuple):
    """What a traced energy takes; atoms sorted by element, edges by receiver.

    Attributes
    ----------
    vectors
        `[E, 3]` float64 Å.
    edge_index
        `[2, E]`.
    numbers, batch
        `[N]`.
    charge
        `[B]` float64 e.
    members
        A tensor for each element that the model knows, as long as there are atoms of it.
    """

    vectors: Tensor
    edge_index: Tensor
    numbers: Tensor
    batch: Tensor
    charge: Tensor
    members: list[Tensor]


def trace_energies(potential: Potential) -> GraphModule:
    """The atomic energies `[N]` (eV, float64, reference energies included) as a function of :class:`Arguments`.

    The graph holds the weights as they are, in the precision and on the device of the potential. It has no
    operations in place, and autograd differentiates it.

    Raises
    ------
    InputError
        A model with forces of its own, or one whose code looks at values or sizes and so cannot be traced.
    """
    from torch._subclasses.functional_tensor import dispatch_functionalize
    from torch.fx.experimental import _config as shapes
    from torch.fx.experimental.proxy_tensor import make_fx

    if potential.direct or "energy" not in potential.outputs:
        raise InputError("a model whose forces are not the gradient of its energy cannot be traced")

    def energies(*arguments: Any) -> Tensor:
        return traced_energies(potential, Arguments(*arguments))

    sample = _sample(potential)
    try:
        # Tables are made and kept on first use: that must not happen while nothing but symbols is there.
        energies(*sample)
        functional = dispatch_functionalize(energies)
        with shapes.patch(use_duck_shape=False), _symbolic_len():  # type: ignore[attr-defined]
            found: GraphModule = make_fx(functional, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*sample)
    except Exception as error:  # whatever the tracer raises, it says that this model cannot be traced
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        kind = type(potential).__name__
        raise InputError(f"{kind} cannot be traced: {reason}", hint="Use the model where Python runs.") from error
    return found


def traced_energies(potential: Potential, arguments: Arguments) -> Tensor:
    """What the trace holds, as plain code."""
    vectors, edge_index, numbers, batch, charge, members = arguments
    structures = charge.shape[0]
    with tracing_graph([each.shape[0] for each in members]):
        graph = AtomGraph(
            positions=vectors.new_zeros(numbers.shape[0], 3),
            numbers=numbers,
            cell=vectors.new_zeros(structures, 3, 3),
            pbc=torch.zeros(structures, 3, dtype=torch.bool, device=vectors.device),
            edge_index=edge_index,
            edge_shift=torch.zeros_like(vectors),
            batch=batch,
            charge=charge,
        )
        # The method of the class: a compiled potential has another in its place.
        return type(potential).compute(potential, graph, vectors)["atomic_energies"]


def arguments_of(potential: Potential, graph: AtomGraph, vectors: Tensor) -> tuple[Arguments, Tensor]:
    """The arguments for a graph, and the place of each of its atoms among them `[N]`."""
    species = potential.species(graph)
    order = torch.argsort(species, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(order.shape[0], device=order.device)
    edge_index = place[graph.edge_index]
    by_receiver = torch.argsort(edge_index[1], stable=True)
    counts = torch.bincount(species, minlength=len(potential.elements)).tolist()
    arguments = Arguments(
        vectors.index_select(0, by_receiver),
        edge_index.index_select(1, by_receiver),
        graph.numbers[order],
        graph.batch[order],
        graph.charge,
        [torch.empty(count, device=order.device) for count in counts],
    )
    return arguments, place


def _sample(potential: Potential) -> Arguments:
    """A random graph with no two sizes alike."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.arange(len(potential.elements)) + 5
    n = int(counts.sum())
    structures, edges = 3, 3 * n + 7
    edge_index = torch.stack([torch.randint(n, (edges,), generator=generator) for _ in range(2)])
    edge_index[1] = edge_index[1].sort().values
    vectors = torch.randn(edges, 3, generator=generator, dtype=torch.float64)
    device = potential.elements.device
    return Arguments(
        (vectors * (0.5 * potential.cutoff / vectors.norm(dim=1, keepdim=True))).to(device),
        edge_index.to(device),
        potential.elements.repeat_interleave(counts.to(device)),
        (torch.arange(n) * structures // n).to(device),
        torch.zeros(structures, dtype=torch.float64, device=device),
        [torch.empty(count, device=device) for count in counts.tolist()],
    )


@contextmanager
def _symbolic_len() -> Iterator[None]:
    """Within the block, `len` of a tensor stays a symbol in the code of the package; Python's own makes it a number."""

    def length(x: Any) -> Any:
        return x.shape[0] if isinstance(x, Tensor) else builtins.len(x)

    spaces = [vars(module) for name, module in sys.modules.items() if name.startswith("eqcli.")]
    for space in spaces:
        space["len"] = length
    try:
        yield
    finally:
        for space in spaces:
            space.pop("len", None)
