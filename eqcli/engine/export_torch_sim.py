"""A model for torch-sim, which relaxes and moves many structures at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from eqcli.engine.hosted import HostedModel
from eqcli.errors import InputError, MissingDependency
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph

try:
    from torch_sim.models.interface import ModelInterface
except ModuleNotFoundError as error:
    raise MissingDependency("torch-sim is not installed", hint="Install it: pip install 'eqcli[torch-sim]'.") from error

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.nn.backend import Backend


class TorchSimModel(ModelInterface):  # type: ignore[misc]
    """Energies, forces and stresses of the states of torch-sim.

    Each structure has its own neighbour list, with all images in small cells. Results have the precision of the
    model; positions are taken as they come, so a state in float64 loses nothing before edges are formed. Stresses
    are tensile positive in eV/Å^3, as torch-sim and ASE have them, and NaN where there are not three periods.

    Parameters
    ----------
    model
        The loaded model; its device and precision are those of the simulation.
    backend
        Kernels for messages between atoms.
    stress
        Whether the stress is computed.
    """

    def __init__(self, model: ModelFile, *, backend: str | Backend = "auto", stress: bool = True) -> None:
        super().__init__()
        # In a list, since torch-sim would train and cast what is a module of this module.
        self._hosted = [HostedModel(model, backend)]
        self._device = next(model.potential.parameters()).device
        self._dtype = model.potential.dtype
        self._compute_forces = True
        self._compute_stress = stress
        self._memory_scales_with = "n_atoms_x_density"

    @property
    def compute_stress(self) -> bool:
        """Whether the stress is computed."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, wanted: bool) -> None:
        self._compute_stress = wanted

    @property
    def compute_forces(self) -> bool:
        """Whether the forces are returned."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, wanted: bool) -> None:
        self._compute_forces = wanted

    def forward(self, state: Any, **_: Any) -> dict[str, Tensor]:
        """`energy [B]` in eV, `forces [N, 3]` in eV/Å and `stress [B, 3, 3]` in eV/Å^3 of a state.

        `state` is a `torch_sim.SimState` or a dictionary with its entries. Raises InputError for an element or a
        charge that the model does not know and for an unusable geometry.
        """
        if isinstance(state, dict):
            from torch_sim.state import SimState

            state = SimState(**{"masses": torch.ones_like(state["positions"][:, 0]), **state})
        (hosted,) = self._hosted
        hosted.potential.require_known(state.atomic_numbers)
        graph = self._graph(state, hosted)
        found = hosted.evaluate(graph, stress=self._compute_stress)
        wanted = ["energy", *["forces"] * self._compute_forces, *["stress"] * self._compute_stress]
        return {name: found[name].to(device=state.positions.device, dtype=self._dtype) for name in wanted}

    def _graph(self, state: Any, hosted: HostedModel) -> AtomGraph:
        systems = state.system_idx.cpu()
        if bool((systems[1:] < systems[:-1]).any()):
            raise InputError("the atoms of a state must stand system after system")
        counts = torch.bincount(systems, minlength=state.n_systems).tolist()
        positions = np.split(state.positions.detach().double().cpu().numpy(), np.cumsum(counts)[:-1])
        numbers = np.split(state.atomic_numbers.cpu().numpy(), np.cumsum(counts)[:-1])
        cells = state.row_vector_cell.detach().double().cpu().numpy()
        pbc = np.broadcast_to(np.asarray(torch.as_tensor(state.pbc).cpu()), (state.n_systems, 3))
        charges = _charges(state)
        for charge in charges:
            hosted.require_charge(charge)
        cutoff = hosted.potential.cutoff
        members = zip(numbers, positions, cells, pbc, charges, strict=True)
        return batch_graphs([build_graph(z, x, box, p, cutoff, charge=q) for z, x, box, p, q in members])


def _charges(state: Any) -> list[float]:
    """Total charges in e; states of torch-sim 0.3 have none."""
    charge = getattr(state, "charge", None)
    return [0.0] * state.n_systems if charge is None else torch.as_tensor(charge).double().tolist()
