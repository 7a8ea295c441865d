"""Energies and gradients of a potential as a graph of torch's own operations, for any number of atoms and edges."""

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
from eqcli.graph import segments  # noqa: F401 (registers the operations below)
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
    spin
        `[B]` float64, 2S + 1 or NaN.
    weights
        `[N]` float64: the gradients are those of the energies' sum with these weights.
    members
        A tensor for each element that the model knows, as long as there are atoms of it.
    """

    vectors: Tensor
    edge_index: Tensor
    numbers: Tensor
    batch: Tensor
    charge: Tensor
    spin: Tensor
    weights: Tensor
    members: list[Tensor]


def trace_potential(potential: Potential) -> GraphModule:
    """Atomic energies and their gradients as a graph of operations, a function of :class:`Arguments`.

    It returns the energies `[N]` (eV, float64, reference energies included) and the gradients by the edge vectors
    `[E, 3]` (eV/Å, float64) of their weighted sum. The gradients are part of the graph, made by the model's own rules:
    there is nothing left to differentiate. The graph holds the parameters as they are, in the precision and on the
    device of the potential, and has no operations in place.

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

    def values(*arguments: Any) -> tuple[Tensor, Tensor]:
        return energies_and_gradients(potential, Arguments(*arguments))

    sample = _sample(potential)
    try:
        # Tables are made and kept on first use: that must not happen while nothing but symbols is there.
        values(*sample)
        functional = dispatch_functionalize(values)
        with shapes.patch(use_duck_shape=False), _symbolic_sizes():  # type: ignore[attr-defined]
            tracer = make_fx(functional, OWN_OPERATIONS, "symbolic", _allow_non_fake_inputs=True)
            found: GraphModule = tracer(*sample)
    except Exception as error:  # whatever the tracer raises, it says that this model cannot be traced
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        kind = type(potential).__name__
        raise InputError(f"{kind} cannot be traced: {reason}", hint="Use the model where Python runs.") from error
    return found


def energies_and_gradients(potential: Potential, arguments: Arguments) -> tuple[Tensor, Tensor]:
    """What the trace holds, as plain code."""
    given, edge_index, numbers, batch, charge, spin, weights, members = arguments
    structures = charge.shape[0]
    with tracing_graph([each.shape[0] for each in members]), torch.enable_grad():
        vectors = given.detach().requires_grad_(True)
        graph = AtomGraph(
            positions=vectors.new_zeros(numbers.shape[0], 3),
            numbers=numbers,
            cell=vectors.new_zeros(structures, 3, 3),
            pbc=torch.zeros(structures, 3, dtype=torch.bool, device=vectors.device),
            edge_index=edge_index,
            edge_shift=torch.zeros_like(given),
            batch=batch,
            charge=charge,
            spin=spin,
        )
        energies = potential.energies(graph, vectors)
        (gradients,) = torch.autograd.grad((energies * weights).sum(), vectors)
    return energies.detach(), gradients


def arguments_of(potential: Potential, graph: AtomGraph, vectors: Tensor) -> tuple[Arguments, Tensor, Tensor]:
    """The arguments for a graph, where each of its atoms is among them `[N]`, and each of its edges `[E]`."""
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
        graph.spin,
        torch.ones_like(order, dtype=torch.float64),
        [torch.empty(count, device=order.device) for count in counts],
    )
    place_of_edge = torch.empty_like(by_receiver)
    place_of_edge[by_receiver] = torch.arange(by_receiver.shape[0], device=order.device)
    return arguments, place, place_of_edge


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
        torch.ones(structures, dtype=torch.float64, device=device),
        torch.ones(n, dtype=torch.float64, device=device),
        [torch.empty(count, device=device) for count in counts.tolist()],
    )


class _SizeType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, builtins.int | torch.SymInt)


class _Size(builtins.int, metaclass=_SizeType):
    """`int` that leaves a symbol a symbol."""

    def __new__(cls, *arguments: Any) -> Any:
        symbol = builtins.len(arguments) == 1 and isinstance(arguments[0], torch.SymInt)
        return arguments[0] if symbol else builtins.int(*arguments)


def _length(x: Any) -> Any:
    """`len` that leaves the length of a tensor a symbol."""
    return x.shape[0] if isinstance(x, Tensor) else builtins.len(x)


@contextmanager
def _symbolic_sizes() -> Iterator[None]:
    """Within the block, `len` and `int` of sizes stay symbols in the code of the package.

    Python's own must return numbers, which would hold for the sample alone.
    """
    spaces = [vars(module) for name, module in sys.modules.items() if name.startswith(("eqcli.", "tests."))]
    for space in spaces:
        space.update(len=_length, int=_Size)
    try:
        yield
    finally:
        for space in spaces:
            space.pop("len")
            space.pop("int")


def _sum_of_edges(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    return x.new_zeros(n, *x.shape[1:]).index_add(0, receiver, x)


def _spread_to_edges(x: Tensor, receiver: Tensor) -> Tensor:
    return x.index_select(0, receiver)


OWN_OPERATIONS: dict[Any, Any] = {
    torch.ops.eqcli.segment_sum.default: _sum_of_edges,
    torch.ops.eqcli.spread.default: _spread_to_edges,
}
"""Operations of this package in terms of torch's own, which other programs have."""
