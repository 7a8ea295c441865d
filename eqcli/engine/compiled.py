"""A potential compiled by torch.compile, used only if it gives what the potential gives."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqcli.engine.traced_check import deviation
from eqcli.engine.tracing import arguments_of, trace_potential
from eqcli.errors import InputError
from eqcli.nn.backend import BackendWarning

if TYPE_CHECKING:
    from eqcli.engine.traced_check import Program
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential


def compile_potential(potential: Potential, compiler: str = "inductor") -> None:
    """Makes `potential.compute` run compiled code from its first graph on.

    Energy and gradient are traced once and compiled for any number of atoms and edges. On the first graph of each
    kind energies, forces and virials are compared with those of the model, within the tolerances of
    :data:`eqcli.engine.traced_check.TOLERANCE`. When the model cannot be traced or compiled, or differs, a
    BackendWarning says why and the model goes on as it is. Compiling takes minutes, and one more when a number of
    structures, or of atoms of an element, is zero or one for the first time. Device and precision must not change
    afterwards, and there are no second derivatives.

    Parameters
    ----------
    potential
        A potential for inference.
    compiler
        torch's name for what makes the code.
    """
    potential.compute = CompiledEnergies(potential, compiler)  # type: ignore[method-assign]


class _Energies(torch.autograd.Function):
    """Atomic energies whose sum has the gradients that the program found."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, graph: AtomGraph, potential: Potential, program: Program) -> Tensor:
        arguments, place, place_of_edge = arguments_of(potential, graph, vectors.detach())
        energies, gradients = program(*arguments)
        ctx.save_for_backward(gradients[place_of_edge])
        return energies[place]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (gradients,) = ctx.saved_tensors
        if bool((upstream != upstream[:1]).any()):
            raise RuntimeError("a compiled potential has the gradient of the total energy alone")
        return gradients * upstream[:1], None, None, None


class CompiledEnergies:
    """What stands in the place of `compute`.

    Attributes
    ----------
    program
        The compiled energy; None before the first graph, and when it is not used.
    reason
        Why it is not used, or None.
    """

    def __init__(self, potential: Potential, compiler: str) -> None:
        self.potential, self.compiler = potential, compiler
        self.program: Program | None = None
        self.reason: str | None = None
        self._checked: set[tuple[int, ...]] = set()

    def __call__(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        # An empty list of edges has a program of its own: not worth a minute.
        if self.reason is None and vectors.shape[0]:
            try:
                self._prepare(graph, vectors)
                if self.program is not None:
                    return {"atomic_energies": _Energies.apply(vectors, graph, self.potential, self.program)}
            except InputError:
                raise
            except Exception as error:  # a compiler is other people's code: whatever it raises, it is not used
                self._refuse(error)
        return self.plain(graph, vectors)

    def plain(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        """What the model gives without."""
        return type(self.potential).compute(self.potential, graph, vectors)

    def _prepare(self, graph: AtomGraph, vectors: Tensor) -> None:
        """Compiles at the first graph; compares at each that has code of its own."""
        if self.program is None and (further := sorted(set(self.plain(graph, vectors)) - {"atomic_energies"})):
            self._refuse(f"it would not give {', '.join(further)}")
            return
        kind = _kind(self.potential, graph)
        if kind in self._checked:
            return
        if self.program is None:
            self.program = torch.compile(trace_potential(self.potential), dynamic=True, backend=self.compiler)
        reason = deviation(self.potential, self.program, graph)
        self._checked.add(kind)
        if reason is not None:
            self._refuse(reason)

    def _refuse(self, reason: Exception | str) -> None:
        # torch names the compiler on the first line and what it said on the next.
        text = " ".join((str(reason).strip() or type(reason).__name__).splitlines()[:2])
        self.program, self.reason = None, text
        warnings.warn(f"the compiled model is not used: {text}", BackendWarning, stacklevel=3)


def _kind(potential: Potential, graph: AtomGraph) -> tuple[int, ...]:
    """Which sizes are zero, one or more: torch makes code for each, the number of atoms of each element included."""
    counts = torch.bincount(potential.species(graph), minlength=len(potential.elements))
    sizes = [*counts.tolist(), graph.n_structures, graph.edge_index.shape[1]]
    return tuple(min(size, 2) for size in sizes)
