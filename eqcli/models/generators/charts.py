"""Lattices as points of a Euclidean space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eqcli.diffusion.noise import Noise
from eqcli.geometry.lattice import from_log_symmetric, lattice_matrix, lattice_parameters, log_symmetric

SMALLEST_ANGLE, LARGEST_ANGLE = 59.9, 120.1
"""Degrees. The angles of a Niggli-reduced cell are from 60 to 120."""

LOGISTIC = math.pi / math.sqrt(3.0)
"""Standard deviation of the logistic distribution, which uniform angles have as logits."""

EDGE = 1e-4
"""Share of the range of angles that a logit stays away from its ends."""

MARGIN = 1.2
"""A lattice vector may be this much longer than the longest of the training crystals."""


class LatticeChart(nn.Module, ABC):
    """Between cells `[B, 3, 3]` and states `[B, size]` that are diffused or flow.

    Attributes
    ----------
    size
        Numbers of a state.
    invariants_size
        Numbers that a network is shown of it.
    output_size
        Numbers that a network gives for it.
    """

    size: int
    invariants_size: int
    output_size: int

    @abstractmethod
    def fit(self, cells: Tensor) -> None:
        """Takes statistics of the training cells, `[B, 3, 3]`."""

    @abstractmethod
    def encode(self, cell: Tensor) -> Tensor:
        """Cells as states."""

    @abstractmethod
    def decode(self, state: Tensor) -> Tensor:
        """States as cells; without volume where angles fit no cell."""

    @abstractmethod
    def invariants(self, state: Tensor) -> Tensor:
        """What a network is shown: the same for a rotated cell."""

    def output(self, raw: Tensor, state: Tensor) -> Tensor:
        """What a network gave, as a direction in the space of states."""
        return raw

    @abstractmethod
    def clipped(self, state: Tensor) -> Tensor:
        """The state brought near to what training has seen."""

    def base(self, noise: Noise) -> Tensor:
        """A state at the start of a flow."""
        return noise.normal_crystals(self.size)

    def base_log_density(self, state: Tensor) -> Tensor:
        """Logarithm of the density that `base` draws from, `[B]`."""
        return -0.5 * (state.square() + math.log(2.0 * math.pi)).sum(dim=1)


class MatrixChart(LatticeChart):
    """The lattice vectors in Å as they are; a rotated cell gives a rotated state (DiffCSP)."""

    size = 9
    invariants_size = 9
    output_size = 9

    longest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("longest", torch.tensor(100.0))

    def fit(self, cells: Tensor) -> None:
        self.longest.fill_(float(cells.norm(dim=2).max()) * MARGIN)

    def encode(self, cell: Tensor) -> Tensor:
        return cell.flatten(1)

    def decode(self, state: Tensor) -> Tensor:
        return state.unflatten(1, (3, 3))

    def invariants(self, state: Tensor) -> Tensor:
        cell = self.decode(state)
        return (cell @ cell.mT).flatten(1)

    def output(self, raw: Tensor, state: Tensor) -> Tensor:
        """The matrix that the network gave times the cell: it turns with the cell."""
        return (raw.unflatten(1, (3, 3)) @ self.decode(state)).flatten(1)

    def clipped(self, state: Tensor) -> Tensor:
        cell = self.decode(state)
        shrink = (self.longest / cell.norm(dim=2, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
        return (cell * shrink).flatten(1)


class StandardChart(LatticeChart):
    """Six invariant numbers in units of their spread over the training cells."""

    size = 6
    invariants_size = 6
    output_size = 6

    mean: Tensor
    spread: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("spread", torch.ones(6))
        self.register_buffer("lowest", torch.full((6,), -10.0))
        self.register_buffer("highest", torch.full((6,), 10.0))

    @abstractmethod
    def raw(self, cell: Tensor) -> Tensor:
        """The six numbers before they are brought to units of their spread."""

    def fit(self, cells: Tensor) -> None:
        raw = self.raw(cells)
        self.mean.copy_(raw.mean(dim=0))
        self.spread.copy_(self._spread(raw))
        state = (raw - self.mean) / self.spread
        self.lowest.copy_(state.amin(dim=0) - 0.5)
        self.highest.copy_(state.amax(dim=0) + 0.5)

    def _spread(self, raw: Tensor) -> Tensor:
        return raw.std(dim=0, correction=0).clamp(min=0.05)

    def encode(self, cell: Tensor) -> Tensor:
        return (self.raw(cell) - self.mean) / self.spread

    def invariants(self, state: Tensor) -> Tensor:
        return state

    def clipped(self, state: Tensor) -> Tensor:
        return state.clamp(min=self.lowest, max=self.highest)

    def log_volume_element(self, cell: Tensor) -> Tensor:
        """log |det d state / d (lengths in Å, angles in rad)|, `[B]`: densities of states become those of cells.

        Minus infinity for cells that no state stands for. Not in inference mode.
        """
        with torch.enable_grad():
            parameters = torch.cat(lattice_parameters(cell.detach()), dim=1).requires_grad_()
            state = self.encode(lattice_matrix(parameters[:, :3], parameters[:, 3:]))
            rows = [torch.autograd.grad(column.sum(), parameters, retain_graph=True)[0] for column in state.unbind(1)]
        found: Tensor = torch.linalg.slogdet(torch.stack(rows, dim=1))[1]
        return found


class LogSymmetricChart(StandardChart):
    """Coefficients of the logarithm of the symmetric root (Jiao et al., ICLR 2024)."""

    def raw(self, cell: Tensor) -> Tensor:
        return log_symmetric(cell)

    def decode(self, state: Tensor) -> Tensor:
        return from_log_symmetric(state * self.spread + self.mean)


class ParameterChart(StandardChart):
    """Logarithms of the lengths and logits of the angles (FlowMM).

    The base of the lengths is the log-normal distribution fitted to the training
    cells, that of the angles is uniform between 59.9 and 120.1 degrees.
    """

    def raw(self, cell: Tensor) -> Tensor:
        lengths, angles = lattice_parameters(cell)
        share = (torch.rad2deg(angles) - SMALLEST_ANGLE) / (LARGEST_ANGLE - SMALLEST_ANGLE)
        return torch.cat([lengths.log(), torch.logit(share.clamp(EDGE, 1.0 - EDGE))], dim=1)

    def fit(self, cells: Tensor) -> None:
        super().fit(cells)
        self.mean[3:] = 0.0
        state = (self.raw(cells) - self.mean) / self.spread
        self.lowest.copy_(state.amin(dim=0) - 0.5)
        self.highest.copy_(state.amax(dim=0) + 0.5)

    def _spread(self, raw: Tensor) -> Tensor:
        spread = super()._spread(raw)
        spread[3:] = LOGISTIC
        return spread

    def decode(self, state: Tensor) -> Tensor:
        raw = state * self.spread + self.mean
        degrees = SMALLEST_ANGLE + (LARGEST_ANGLE - SMALLEST_ANGLE) * raw[:, 3:].sigmoid()
        return lattice_matrix(raw[:, :3].exp(), torch.deg2rad(degrees))

    def base(self, noise: Noise) -> Tensor:
        angles = torch.logit(noise.uniform_crystals(3), eps=1e-6) / LOGISTIC
        return torch.cat([noise.normal_crystals(3), angles], dim=1)

    def base_log_density(self, state: Tensor) -> Tensor:
        logits = state[:, 3:] * LOGISTIC
        # The density of the logistic distribution, in units of its spread.
        angles = math.log(LOGISTIC) - logits - 2.0 * nn.functional.softplus(-logits)
        lengths = -0.5 * (state[:, :3].square() + math.log(2.0 * math.pi))
        return lengths.sum(dim=1) + angles.sum(dim=1)


CHARTS: dict[str, type[LatticeChart]] = {
    "matrix": MatrixChart,
    "log-symmetric": LogSymmetricChart,
    "parameters": ParameterChart,
}
"""By the name in a recipe."""
