"""Local search of many poses at once in rigid motion and torsions: BFGS, one call of the score for all in each round.

Every pose keeps its own direction, step length and curvature. A round tries one step of each pose; a pose whose energy
does not fall enough shortens its step (Armijo's rule, minimum of the parabola) and tries again in the next round, so no
pose waits for another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from eqcli.models.docking.pose_state import RIGID, PoseTables, arms, moved_by, step_gradient

ARMIJO = 1e-4
LONGEST = 2.0
"""Å that one step may move the atoms, about."""

SHORTEST = 1e-3
"""Share of a full step below which the curvature is thrown away."""


class Energy(Protocol):
    """What is minimised: energies `[P]` (kcal/mol) and their gradients `[P, N, 3]` of poses `[P, N, 3]`."""

    def energy_and_gradient(self, positions: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Poses:
    """Poses of one ligand.

    Attributes
    ----------
    positions
        `[P, N, 3]`, Å.
    energy
        `[P]`, kcal/mol.
    turns
        `[P, T]`: how far each bond has turned since the conformer, rad.
    origin
        `[P]`: the conformer that gave bond lengths, angles and rings.
    """

    positions: Tensor
    energy: Tensor
    turns: Tensor
    origin: Tensor

    def __getitem__(self, index: Tensor | slice) -> Poses:
        return Poses(self.positions[index], self.energy[index], self.turns[index], self.origin[index])

    def __len__(self) -> int:
        return len(self.energy)

    def where(self, chosen: Tensor, other: Poses) -> Poses:
        """These poses where `chosen [P]` holds, the others elsewhere."""
        return Poses(
            torch.where(chosen[:, None, None], self.positions, other.positions),
            torch.where(chosen, self.energy, other.energy),
            torch.where(chosen[:, None], self.turns, other.turns),
            torch.where(chosen, self.origin, other.origin),
        )


def joined(parts: list[Poses]) -> Poses:
    """All poses of the parts in order."""
    return Poses(
        torch.cat([p.positions for p in parts]),
        torch.cat([p.energy for p in parts]),
        torch.cat([p.turns for p in parts]),
        torch.cat([p.origin for p in parts]),
    )


def stepped(poses: Poses, step: Tensor, tables: PoseTables) -> Poses:
    """Poses moved by a step `[P, 6 + T]`, with the energies they had."""
    return replace(poses, positions=moved_by(poses.positions, step, tables), turns=poses.turns + step[:, RIGID:])


@torch.no_grad()
def minimised(score: Energy, poses: Poses, tables: PoseTables, evaluations: int, *, tolerance: float = 0.0) -> Poses:
    """Poses at or near the next minimum, with their energies.

    Parameters
    ----------
    evaluations
        Calls of the score.
    tolerance
        kcal/mol/Å: ends early when no pose has a larger gradient in the scaled coordinates.
    """
    search = _Bfgs(score, poses, tables)
    for _ in range(max(evaluations - 1, 0)):
        if tolerance > 0 and bool((search.slope.square().sum(-1) < tolerance**2).all()):
            break
        search.round()
    return search.poses


class _Bfgs:
    """The state of a local search; coordinates are those of a step times `arms`."""

    def __init__(self, score: Energy, poses: Poses, tables: PoseTables) -> None:
        self.score, self.tables = score, tables
        self.scale = arms(poses.positions, tables)
        energy, self.slope = self._energy(poses.positions)
        self.poses = replace(poses, energy=energy)
        size = self.slope.shape[-1]
        self.identity = torch.eye(size, dtype=self.slope.dtype, device=self.slope.device)
        self.inverse = self.identity.repeat(len(poses), 1, 1) * 0.1
        self.direction, self.length = self._steepest(), torch.ones_like(energy)

    def round(self) -> None:
        """Tries one step of each pose."""
        move = self.length.unsqueeze(-1) * self.direction
        trial = stepped(self.poses, move / self.scale, self.tables)
        energy, slope = self._energy(trial.positions)
        trial = replace(trial, energy=energy)
        fall = (self.slope * move).sum(-1)
        taken = energy <= self.poses.energy + ARMIJO * fall
        slope = torch.where(taken.unsqueeze(-1), slope, self.slope)
        self._curve(taken, move, slope - self.slope)
        rise = (energy - self.poses.energy - fall).nan_to_num(nan=torch.inf)
        shorter = self.length * (-0.5 * fall / rise.clamp(min=1e-12)).clamp(0.1, 0.5)
        stuck = ~taken & (shorter < SHORTEST)
        self.poses = trial.where(taken, self.poses)
        self.slope = slope
        self.inverse = torch.where(stuck[:, None, None], 0.02 * self.identity, self.inverse)
        renew = taken | stuck
        self.direction = torch.where(renew.unsqueeze(-1), self._newton(), self.direction)
        self.length = torch.where(renew, torch.ones_like(shorter), shorter)

    def _energy(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        energy, gradient = self.score.energy_and_gradient(positions)
        return energy, step_gradient(positions, gradient, self.tables) / self.scale

    def _curve(self, taken: Tensor, move: Tensor, change: Tensor) -> None:
        """BFGS's update of the inverse curvature of the poses that took their step and saw it curve upwards."""
        product = (move * change).sum(-1)
        usable = taken & (product > 1e-10)
        rho = torch.where(usable, 1 / torch.where(usable, product, 1.0), 0.0)
        bent = (self.inverse @ change.unsqueeze(-1)).squeeze(-1)
        weight = 0.5 * (rho.square() * (change * bent).sum(-1) + rho)
        side = weight.unsqueeze(-1) * move - rho.unsqueeze(-1) * bent
        outer = move.unsqueeze(-1) * side.unsqueeze(-2)
        self.inverse = self.inverse + outer + outer.transpose(-1, -2)

    def _steepest(self) -> Tensor:
        return self._limited(-0.1 * self.slope)

    def _newton(self) -> Tensor:
        direction = -(self.inverse @ self.slope.unsqueeze(-1)).squeeze(-1)
        uphill = (direction * self.slope).sum(-1) >= 0
        return self._limited(torch.where(uphill.unsqueeze(-1), -0.02 * self.slope, direction))

    def _limited(self, direction: Tensor) -> Tensor:
        size = direction.square().sum(-1, keepdim=True).sqrt()
        return direction * (LONGEST / size.clamp(min=LONGEST))
