"""Relaxation of many structures at once, each along the path that `engine.relaxation.Relaxation` takes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from eqcli.engine.batched import cell_filter
from eqcli.engine.batched.fire import Fire
from eqcli.engine.batched.fixed_symmetry import begin_symmetry, symmetric_tensors, symmetric_vectors
from eqcli.engine.batched.lbfgs import Lbfgs
from eqcli.engine.batched.rows import largest, longest, pack, spread, unpack
from eqcli.units import STRESS

if TYPE_CHECKING:
    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.relaxation import RelaxSettings


class Optimizer(Protocol):
    """Chooses steps from forces, on rows of degrees of freedom; what it remembers is in the state."""

    def begin(self, state: BatchState, forces: Tensor) -> BatchState:
        """The state with a memory for as many rows as `forces` has."""
        ...

    def propose(self, state: BatchState, forces: Tensor) -> tuple[BatchState, Tensor]:
        """The state with its memory advanced, and a step (Å) of each row by its force (eV/Å)."""
        ...

    def learn(self, state: BatchState, step: Tensor, change: Tensor) -> BatchState:
        """The state that remembers a step (Å) and the change of the gradient (eV/Å) along it."""
        ...


class Relaxing:
    """Moves atoms, and on request cells, downhill; a `Stepper`.

    `begin` raises InputError for a structure whose symmetry cannot be kept: begin structures one by one where others
    shall not suffer. A structure whose forces are not finite stays where it is and never harms its companions;
    `relaxing_checks.faults` names it.

    Parameters
    ----------
    settings
        How to relax; its criteria and the number of steps are for the caller to look at.
    """

    def __init__(self, settings: RelaxSettings) -> None:
        self.settings = settings
        self.optimizer: Optimizer = Fire() if settings.optimizer == "fire" else Lbfgs()

    def begin(self, state: BatchState) -> BatchState:
        """The state with what the path needs to know of its start; refined to its symmetry if that is kept."""
        if self.settings.keep_symmetry:
            state = begin_symmetry(state, self.settings.symprec)
        if self.settings.cell != "none":
            state = cell_filter.begin_cell(state)
        start = {"relax/volume": torch.linalg.det(state.cell).abs()}
        # Known once the refined start has been evaluated.
        start |= {
            f"relax/{name}": torch.full_like(state.energy, torch.nan) for name in ("energy", "contact", "closest")
        }
        return self.optimizer.begin(state, self._forces(state)).with_(systems=start)

    def step(self, state: BatchState, field: Field) -> BatchState:
        """One step of every structure, evaluated at its end."""
        state = _with_start(state, field)
        forces = self._forces(state)
        state, step = self.optimizer.propose(state, forces)
        finite = torch.isfinite(longest(state, step))
        step = torch.where(spread(state, finite, step)[:, None], self._allowed(state, step), torch.zeros_like(step))
        state = field.evaluate(self._moved(state, step))
        state = self.optimizer.learn(state, step, forces - self._forces(state))
        return state.with_(step=state.step + 1, systems={"relax/closest": field.closest_ratio(state)})

    def _forces(self, state: BatchState) -> Tensor:
        """Forces on all degrees of freedom, in eV/Å."""
        forces = state.forces * state.free
        if self.settings.keep_symmetry:
            forces = symmetric_vectors(state, forces)
        if self.settings.cell == "none":
            return forces
        stress = symmetric_tensors(state, state.stress) if self.settings.keep_symmetry else state.stress
        pressure = self.settings.pressure * STRESS["GPa"]
        cells = cell_filter.cell_forces(state, stress, self.settings.cell, pressure)
        return pack(cell_filter.forces_on_start(state, forces), cells)

    def _allowed(self, state: BatchState, step: Tensor) -> Tensor:
        """A step that leaves held atoms in place and keeps the symmetry to the last digit."""
        atoms, cells = unpack(state, step)
        atoms = atoms * state.free
        if self.settings.keep_symmetry:
            atoms = symmetric_vectors(state, atoms)
            cells = None if cells is None else symmetric_tensors(state, cells)
        return pack(atoms, cells)

    def _moved(self, state: BatchState, step: Tensor) -> BatchState:
        atoms, cells = unpack(state, step)
        if cells is None:
            return state.with_(positions=state.positions + atoms)
        return cell_filter.deformed(state, atoms, cells)


def make_relaxing(settings: RelaxSettings) -> Relaxing:
    """The stepper that relaxes as `settings` say."""
    return Relaxing(settings)


def fmax(state: BatchState) -> Tensor:
    """Largest force on an atom along the directions in which it may move, `[B]` eV/Å."""
    return largest(state, (state.forces * state.free).norm(dim=1))


def smax(state: BatchState, settings: RelaxSettings) -> Tensor:
    """How far the stress is from that of the target pressure, `[B]` eV/Å^3: by its largest component, or, with an
    isotropic cell, by the mean of its diagonal. Zero where cells stay.
    """
    if settings.cell == "none":
        return torch.zeros_like(state.energy)
    pressure = settings.pressure * STRESS["GPa"]
    deviation = state.stress + pressure * torch.eye(3, dtype=state.stress.dtype, device=state.stress.device)
    if settings.cell == "isotropic":
        return deviation.diagonal(dim1=1, dim2=2).mean(1).abs()
    return deviation.abs().amax((1, 2))


def converged(state: BatchState, settings: RelaxSettings) -> Tensor:
    """Whether each structure meets the criteria on forces and stress, `[B]` bool."""
    still = fmax(state) < settings.fmax
    return still if settings.cell == "none" else still & (smax(state, settings) < settings.smax)


def _with_start(state: BatchState, field: Field) -> BatchState:
    """The state in which structures that have not moved yet have noted energy and closest contact of their start."""
    known = state.systems
    fresh = state.step == 0
    if not bool(fresh.any()):
        return state
    contact = torch.where(fresh, field.closest_ratio(state), known["relax/contact"])
    energy = torch.where(fresh, state.energy, known["relax/energy"])
    return state.with_(systems={"relax/contact": contact, "relax/energy": energy})
