"""Energy, forces, virial and stress of any potential: the one place where they are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.models.prediction import Prediction

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential


def edge_vectors(graph: AtomGraph, positions: Tensor, cell: Tensor) -> Tensor:
    """r_ij = x_j - x_i + S @ cell from centre i to neighbour j, `[E, 3]` float64 Å.

    Formed in float64 whatever the precision of the model, so that structures far
    from the origin lose nothing.
    """
    sender, receiver = graph.edge_index
    cells = cell.index_select(0, graph.batch[receiver])
    offset = torch.bmm(graph.edge_shift.unsqueeze(1), cells).squeeze(1)
    return positions.index_select(0, sender) - positions.index_select(0, receiver) + offset


def evaluate(
    potential: Potential, graph: AtomGraph, *, forces: bool = True, stress: bool = False, training: bool = False
) -> Prediction:
    """Energies and their derivatives.

    Forces are `-dE/dx`. The stress is `(1/V) dE/d(strain)` for a symmetric strain
    applied to positions and cell together, tensile positive, and NaN for
    structures that are not periodic in three directions. With `training` the
    graph of the derivatives is kept, so that a loss on forces can be minimised.

    Returns
    -------
    Prediction
        `energy [B]`, `atomic_energies [N]`, and on request `forces [N, 3]`,
        `stress [B, 3, 3]` and `virial [B, 3, 3]` = -V stress. All float64.
    """
    positions = graph.positions
    cell = graph.cell
    strain = None
    with torch.set_grad_enabled(training or forces or stress):
        if forces:
            positions = positions.detach().requires_grad_(True)
        moved, box = positions, cell
        if stress:
            strain = torch.zeros_like(cell).requires_grad_(True)
            symmetric = 0.5 * (strain + strain.transpose(1, 2))
            moved = positions + torch.bmm(positions.unsqueeze(1), symmetric[graph.batch]).squeeze(1)
            box = cell + torch.bmm(cell, symmetric)
        atomic = potential.energies(graph, edge_vectors(graph, moved, box))
        energy = atomic.new_zeros(graph.n_structures).index_add(0, graph.batch, atomic)
    result = {"energy": energy, "atomic_energies": atomic}
    wanted = ([positions] if forces else []) + ([strain] if strain is not None else [])
    gradients = _gradients(energy, wanted, training)
    if forces:
        result["forces"] = -gradients[0]
    if strain is not None:
        virial = -gradients[-1]
        periodic = graph.pbc.all(dim=1)
        volume = torch.where(periodic, torch.linalg.det(cell).abs(), torch.full_like(energy, torch.nan))
        result["virial"] = virial
        result["stress"] = -virial / volume[:, None, None]
    if not training:
        result = {key: value.detach() for key, value in result.items()}
    return Prediction(result)


def _gradients(energy: Tensor, wanted: list[Tensor], training: bool) -> list[Tensor]:
    """dE/dx for each of `wanted`, zeros where nothing depends on it (isolated atoms)."""
    if not wanted:
        return []
    if not energy.requires_grad:
        return [torch.zeros_like(x) for x in wanted]
    found = torch.autograd.grad(energy.sum(), wanted, create_graph=training, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True)]
