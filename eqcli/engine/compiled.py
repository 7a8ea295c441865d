"""A potential compiled by torch.compile, used only if it gives what the potential gives."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqcli.engine.traced_check import deviation
from eqcli.engine.tracing import arguments_of, trace_energies
from eqcli.nn.backend import BackendWarning

if TYPE_CHECKING:
    from eqcli.engine.traced_check import Program
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential


def compile_potential(potential: Potential, compiler: str = "inductor") -> None:
    """Makes `potential.compute` run compiled code from its first graph on.

    The energy is traced once for any number of atoms and compiled for any size; autograd differentiates it as before.
    On the first graph energies and gradients are compared with those of the model, within the tolerances of
    :data:`eqcli.engine.traced_check.TOLERANCE`. When the model cannot be traced or compiled, or differs, a
    BackendWarning says why and the model goes on as it is. Compiling takes from ten seconds to a minute, and again
    when a size becomes zero or one. Device and precision must not change afterwards.

    Parameters
    ----------
    potential
        A potential for inference.
    compiler
        torch's name for what makes the code.
    """
    potential.compute = CompiledEnergies(potential, compiler)  # type: ignore[method-assign]


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

    def __call__(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        if self.program is None and self.reason is None:
            self._compile(graph)
        # An empty list of edges has a program of its own: not worth a minute.
        if self.program is not None and vectors.shape[0]:
            try:
                arguments, place = arguments_of(self.potential, graph, vectors)
                return {"atomic_energies": self.program(*arguments)[place]}
            except Exception as error:  # a compiler is other people's code: whatever it raises, it is not used
                self._refuse(error)
        return self.plain(graph, vectors)

    def plain(self, graph: AtomGraph, vectors: Tensor) -> dict[str, Tensor]:
        """What the model gives without."""
        return type(self.potential).compute(self.potential, graph, vectors)

    def _compile(self, graph: AtomGraph) -> None:
        if self.potential.quantities:
            self._refuse("a model of further properties is not compiled")
            return
        try:
            program: Any = torch.compile(trace_energies(self.potential), dynamic=True, backend=self.compiler)
            reason = deviation(self.potential, program, graph)
        except Exception as error:  # as above
            self._refuse(error)
            return
        if reason is None:
            self.program = program
        else:
            self._refuse(reason)

    def _refuse(self, reason: Exception | str) -> None:
        text = (str(reason).strip() or type(reason).__name__).splitlines()[0]
        self.program, self.reason = None, text
        warnings.warn(f"the compiled model is not used: {text}", BackendWarning, stacklevel=3)
