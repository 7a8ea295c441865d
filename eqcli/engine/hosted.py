"""A model that another program calls."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from eqcli.engine.device import threads_for
from eqcli.engine.open_model import backend_of
from eqcli.errors import InputError
from eqcli.models.potentials.derive import evaluate
from eqcli.nn.backend import Backend, using_backend

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.prediction import Prediction


class HostedModel:
    """A potential with the backend that its host chose, on its device and in its precision.

    Attributes
    ----------
    potential
        The model.
    backend
        Kernels for messages between atoms; `auto` leaves the choice to whoever calls.
    """

    def __init__(self, model: ModelFile, backend: str | Backend = Backend.AUTO) -> None:
        self.potential = model.potential
        self.backend = backend_of(backend)

    def evaluate(self, graph: AtomGraph, *, stress: bool) -> Prediction:
        """What the model gives for a graph on any device; forces are among it."""
        device = next(self.potential.parameters()).device
        chosen = nullcontext() if self.backend is Backend.AUTO else using_backend(self.backend)
        with chosen, threads_for(graph.edge_index.shape[1]):
            return evaluate(self.potential, graph.to(device), stress=stress)

    def require_charge(self, charge: float) -> None:
        """Raises InputError for a total charge (e) that the model does not take."""
        if charge and not self.potential.accepts_charge:
            raise InputError(f"the structure has charge {charge:+g}, and the model knows neutral structures alone")
