"""Forces in closed form, for dynamics whose averages are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eqcli.elements import MASSES
from eqcli.engine.batched.state import BatchState, sums
from eqcli.units import ACCELERATION


class AnalyticField:
    """Stands in for a field; forgets nothing since it remembers nothing."""

    def evaluate(self, state: BatchState) -> BatchState:
        energy, forces, stress = self.derive(state)
        return state.with_(energy=energy, forces=forces, stress=stress)

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError


class Springs(AnalyticField):
    """Each atom on a spring to the origin: stiffness in eV/Å^2, with `quartic` in eV/Å^4 along each direction."""

    def __init__(self, stiffness: float | Tensor = 1.0, quartic: float = 0.0) -> None:
        self.stiffness = torch.as_tensor(stiffness, dtype=torch.float64)
        self.quartic = quartic

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        x = state.positions
        energy = sums(state, (0.5 * self.stiffness * x**2 + 0.25 * self.quartic * x**4).sum(dim=1))
        forces = -self.stiffness * x - self.quartic * x**3
        return energy, forces, torch.full_like(state.stress, torch.nan)


class Chain(AnalyticField):
    """Each atom bound to the next one of its structure by a spring of no length: forces add to nothing."""

    def __init__(self, stiffness: float, quartic: float = 0.0) -> None:
        self.stiffness = stiffness
        self.quartic = quartic

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        bound = (state.batch[1:] == state.batch[:-1])[:, None]
        d = torch.where(bound, state.positions[1:] - state.positions[:-1], torch.zeros((), dtype=torch.float64))
        square = d.square().sum(dim=1, keepdim=True)
        pull = (self.stiffness + self.quartic * square) * d
        none = torch.zeros_like(pull[:1])
        pairs = (0.5 * self.stiffness * square + 0.25 * self.quartic * square**2).squeeze(1)
        energy = sums(state, torch.cat([pairs, none[:, 0]]))
        return energy, torch.cat([pull, none]) - torch.cat([none, pull]), torch.full_like(state.stress, torch.nan)


class IdealGas(AnalyticField):
    """No forces."""

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        return torch.zeros_like(state.energy), torch.zeros_like(state.positions), torch.zeros_like(state.cell)


class ElasticCell(AnalyticField):
    """No forces on atoms; the energy is `stiffness` (eV) / 2 times the squared deviation of cells from cubes.

    Of ln(V / volume) alone, or of every component of the strain E = (h^T h / a^2 - 1) / 2 if `shape`.
    """

    def __init__(self, stiffness: float, volume: float, *, shape: bool = False) -> None:
        self.stiffness = stiffness
        self.volume = volume
        self.shape = shape

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        volume = torch.linalg.det(state.cell).abs()
        unit = torch.eye(3, dtype=torch.float64)
        if self.shape:
            gradient = state.cell / self.volume ** (1 / 3)
            strain = 0.5 * (torch.bmm(gradient, gradient.transpose(1, 2)) - unit)
            energy = 0.5 * self.stiffness * strain.square().sum(dim=(1, 2))
            stress = self.stiffness * torch.bmm(gradient.transpose(1, 2), torch.bmm(strain, gradient))
        else:
            away = (volume / self.volume).log()
            energy = 0.5 * self.stiffness * away**2
            stress = (self.stiffness * away)[:, None, None] * unit
        return energy, torch.zeros_like(state.positions), stress / volume[:, None, None]


class Sines(AnalyticField):
    """A wave along each axis of the cell that holds every atom, deeper the smaller the cell: forces and a stress."""

    def __init__(self, depth: float, volume: float, stiffness: float) -> None:
        self.depth = depth
        self.cell = ElasticCell(stiffness, volume)
        self.volume = volume

    def derive(self, state: BatchState) -> tuple[Tensor, Tensor, Tensor]:
        elastic, _, stress = self.cell.derive(state)
        inverse = torch.linalg.inv(state.cell)[state.batch]
        phase = 2 * torch.pi * torch.bmm(state.positions.unsqueeze(1), inverse).squeeze(1)
        volume = torch.linalg.det(state.cell).abs()
        depth = self.depth * self.volume / volume
        waves = sums(state, (1 - phase.cos()).sum(dim=1))
        slope = -2 * torch.pi * phase.sin() * depth[state.batch][:, None]
        forces = torch.bmm(slope.unsqueeze(1), inverse.transpose(1, 2)).squeeze(1)
        unit = torch.eye(3, dtype=torch.float64)
        return elastic + depth * waves, forces, stress - (depth * waves / volume)[:, None, None] * unit


def atoms_state(
    counts: Sequence[int], *, number: int = 6, edge: float | None = None, free: Tensor | None = None, first: int = 0
) -> BatchState:
    """Structures of `counts` atoms at the origin, not evaluated; in cubes of edge `edge` Å if given."""
    n, b = sum(counts), len(counts)
    nan = float("nan")
    atoms = {
        "positions": torch.zeros(n, 3, dtype=torch.float64),
        "numbers": torch.full((n,), number),
        "masses": torch.full((n,), MASSES[number], dtype=torch.float64),
        "free": torch.ones(n, 3, dtype=torch.bool) if free is None else free,
        "forces": torch.full((n, 3), nan, dtype=torch.float64),
        "velocities": torch.full((n, 3), nan, dtype=torch.float64),
    }
    systems = {
        "cell": torch.eye(3, dtype=torch.float64).expand(b, 3, 3) * (edge or 0.0),
        "pbc": torch.full((b, 3), edge is not None),
        "energy": torch.full((b,), nan, dtype=torch.float64),
        "stress": torch.full((b, 3, 3), nan, dtype=torch.float64),
        "item": torch.arange(first, first + b),
        "step": torch.zeros(b, dtype=torch.int64),
    }
    return BatchState(atoms, systems, torch.repeat_interleave(torch.tensor(counts)))


def frequency(stiffness: float, number: int = 6) -> float:
    """Of a spring, 1/fs."""
    return (stiffness * ACCELERATION / MASSES[number]) ** 0.5
