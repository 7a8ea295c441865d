"""Moving cells: the logarithm of the deformation as degrees of freedom, as in ASE's `FrechetCellFilter`.

A structure that has been deformed by F (columns: x = F x0) since its start has the coordinates x0, the positions
taken back to the start, and n U with U = log F, where n is the number of atoms: so scaled, cell and atoms move alike.
U is carried along, so that no logarithm is ever taken, and F^-1 = exp(-U) needs no inversion.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from eqcli.engine.batched.matrix_exponential import exponential, exponential_derivative
from eqcli.engine.batched.state import BatchState, per_atom

CellMode = Literal["isotropic", "full"]


def begin_cell(state: BatchState) -> BatchState:
    """The state as its own undeformed start."""
    return state.with_(
        atoms={"cell/positions": state.positions.clone()},
        systems={"cell/start": state.cell.clone(), "cell/log": torch.zeros_like(state.cell)},
    )


def deformation(state: BatchState) -> Tensor:
    """F of each structure, `[B, 3, 3]`."""
    return exponential(state.systems["cell/log"])


def forces_on_start(state: BatchState, forces: Tensor) -> Tensor:
    """Forces in eV/Å on the positions taken back to the start: F^T f, `[N, 3]`."""
    return torch.bmm(forces[:, None], per_atom(state, deformation(state))).squeeze(1)


def cell_forces(state: BatchState, stress: Tensor, mode: CellMode, pressure: float) -> Tensor:
    """Forces on n U, `[B, 3, 3]` in eV/Å, of a stress and a pressure (eV/Å^3).

    With the virial W = -V (stress + p) they are L(U^T, W F^-T) / n, where L(A, E) is the derivative of the
    exponential at A along E.
    """
    log = state.systems["cell/log"]
    identity = torch.eye(3, dtype=log.dtype, device=log.device)
    volume = torch.linalg.det(state.cell).abs()[:, None, None]
    virial = -volume * (stress + pressure * identity)
    if mode == "isotropic":
        virial = virial.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * identity
    turned = log.transpose(1, 2)
    along = torch.bmm(virial, exponential(-turned))
    return exponential_derivative(turned, along) / state.counts[:, None, None]


def deformed(state: BatchState, atoms: Tensor, cells: Tensor) -> BatchState:
    """The state after a step of the positions at the start, `[N, 3]`, and of n U, `[B, 3, 3]`, both in Å."""
    log = state.systems["cell/log"] + cells / state.counts[:, None, None]
    start = state.atoms["cell/positions"] + atoms
    turned = exponential(log).transpose(1, 2)
    return state.with_(
        positions=torch.bmm(start[:, None], per_atom(state, turned)).squeeze(1),
        cell=torch.bmm(state.systems["cell/start"], turned),
        atoms={"cell/positions": start},
        systems={"cell/log": log},
    )
