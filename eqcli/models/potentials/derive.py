"""Energy, forces, virial and stress of any potential: the one place where they are derived."""

from __future__ import annotations

from copy import copy
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
    structures that are not periodic in three directions. What a model declares as
    `direct` is taken as it states it. With `training` the
    graph of the derivatives is kept, so that a loss on forces can be minimised.

    Returns
    -------
    Prediction
        `energy [B]`, `atomic_energies [N]`, and on request `forces [N, 3]`,
        `stress [B, 3, 3]` and `virial [B, 3, 3]` = -V stress, as far as the model gives them, and the properties
        that it declares. All float64.
    """
    forces, stress = (wanted and name in potential.outputs for wanted, name in ((forces, "forces"), (stress, "stress")))
    by_position, by_strain = forces and "forces" not in potential.direct, stress and "stress" not in potential.direct
    moved, box, variables = _variables(graph, by_position, by_strain)
    with torch.set_grad_enabled(training or by_position or by_strain):
        result = potential.compute(_moved(graph, moved, box), edge_vectors(graph, moved, box))
        if "atomic_energies" in result:
            atomic = result["atomic_energies"]
            result["energy"] = atomic.new_zeros(graph.n_structures).index_add(0, graph.batch, atomic)
    gradients = _gradients(result["energy"], variables, training) if variables else []
    if by_position:
        result["forces"] = -gradients[0]
    if by_strain:
        result["virial"] = -gradients[-1]
    if stress:
        _complete_stress(result, graph)
    for name, wanted in (("forces", forces), ("stress", stress)):
        if not wanted:
            result.pop(name, None)
    if not training:
        result = {key: value.detach() for key, value in result.items()}
    return Prediction(result, potential.quantities)


def _moved(graph: AtomGraph, positions: Tensor, cell: Tensor) -> AtomGraph:
    """The graph with positions and cells that derivatives reach, for models that look at more than edge vectors."""
    if positions is graph.positions and cell is graph.cell:
        return graph
    moved = copy(graph)
    moved.positions, moved.cell = positions, cell
    return moved


def _variables(graph: AtomGraph, by_position: bool, by_strain: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Positions and cells, and what they depend on that the energy is differentiated by: positions, then strain."""
    positions, cell = graph.positions, graph.cell
    variables = []
    if by_position:
        positions = positions.detach().requires_grad_(True)
        variables.append(positions)
    if not by_strain:
        return positions, cell, variables
    strain = torch.zeros_like(cell).requires_grad_(True)
    symmetric = 0.5 * (strain + strain.transpose(1, 2))
    moved = positions + torch.bmm(positions.unsqueeze(1), symmetric[graph.batch]).squeeze(1)
    return moved, cell + torch.bmm(cell, symmetric), [*variables, strain]


def _complete_stress(result: dict[str, Tensor], graph: AtomGraph) -> None:
    """The stress from the virial, or the virial from a stress that the model states; NaN without a volume."""
    periodic = graph.pbc.all(dim=1)
    volume = torch.linalg.det(graph.cell).abs()[:, None, None]
    if "stress" in result:
        result["virial"] = -result["stress"] * volume
    else:
        result["stress"] = -result["virial"] / torch.where(periodic[:, None, None], volume, torch.ones_like(volume))
    result["stress"] = torch.where(
        periodic[:, None, None], result["stress"], torch.full_like(result["stress"], torch.nan)
    )


def _gradients(energy: Tensor, wanted: list[Tensor], training: bool) -> list[Tensor]:
    """dE/dx for each of `wanted`, zeros where nothing depends on it (isolated atoms)."""
    if not wanted:
        return []
    if not energy.requires_grad:
        return [torch.zeros_like(x) for x in wanted]
    found = torch.autograd.grad(energy.sum(), wanted, create_graph=training, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True)]
