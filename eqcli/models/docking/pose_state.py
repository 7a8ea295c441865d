"""Poses of one ligand that move by a rigid motion and turns about bonds, many at once.

A step `[P, 6 + T]` of a pose has a translation (Å), a rotation vector about the pose's centre (rad) and one turn for
each rotatable bond (rad), all taken at the current pose. Turns are applied from the outside inwards, so that every
axis is where the current pose has it; one affine map for each rigid piece then moves all atoms in a single product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry.torsions import torsion_gradient

RIGID = 6
"""Coordinates of the rigid motion in a step."""

SMALLEST_ARM = 0.3
"""Å; least weight of a rotation or a turn against a translation."""


@dataclass(frozen=True)
class PoseTables:
    """Which atoms turn about which bonds, and in which order.

    Attributes
    ----------
    rotatable
        `[T, 2]`: axes i -> j.
    moved
        `[T, N]` bool: the atoms that turn; the sets are nested or apart.
    parent
        `[T]`: the next larger turn that carries this one, -1 for none.
    levels
        The turns by the number of turns that carry them.
    piece
        `[N]`: the rigid piece of each atom, 0 for the body and t + 1 for what the turn t moves last.
    """

    rotatable: Tensor
    moved: Tensor
    parent: Tensor
    levels: tuple[Tensor, ...]
    piece: Tensor

    @classmethod
    def of(cls, rotatable: Tensor, moved: Tensor) -> PoseTables:
        """Tables of a molecule; `moved [T, N]` must hold one side of each bond, the smaller one of both."""
        inside = (moved[:, None] <= moved[None]).all(-1)
        sizes = moved.sum(-1)
        inside &= sizes[:, None] < sizes[None]
        large = torch.where(inside, sizes[None], moved.shape[-1] + 1)
        count = len(sizes)
        parent = torch.where(inside.any(-1), large.argmin(-1), -1) if count else torch.zeros(0, dtype=torch.int64)
        depth = inside.sum(-1)
        levels = tuple((depth == d).nonzero().squeeze(-1) for d in range(int(depth.max()) + 1)) if count else ()
        weight = torch.where(moved, sizes[:, None], moved.shape[-1] + 1)
        piece = torch.where(moved.any(0), weight.argmin(0) + 1, 0) if count else moved.new_zeros(moved.shape[-1]).long()
        return cls(rotatable, moved, parent, levels, piece)

    @property
    def torsions(self) -> int:
        """T."""
        return self.moved.shape[0]

    def of_atoms(self, atoms: Tensor) -> tuple[PoseTables, Tensor]:
        """Tables of some of the atoms (the heavy ones, say), and the turns `[T']` that still move any."""
        moved = self.moved[:, atoms]
        kept = moved.any(-1).nonzero().squeeze(-1)
        rank = torch.full_like(self.piece, -1)
        rank[atoms] = torch.arange(len(atoms), device=atoms.device)
        return PoseTables.of(rank[self.rotatable[kept]], moved[kept]), kept


def moved_by(positions: Tensor, step: Tensor, tables: PoseTables) -> Tensor:
    """Poses `[P, N, 3]` after a step `[P, 6 + T]`."""
    centre = positions.mean(1)
    body = rotation_of(step[:, 3:RIGID])
    offset = centre + step[:, :3] - (body @ centre.unsqueeze(-1)).squeeze(-1)
    maps = positions.new_empty(len(positions), tables.torsions + 1, 3, 4)
    maps[:, 0, :, :3], maps[:, 0, :, 3] = body, offset
    if tables.torsions:
        own = _turns(positions, step[:, RIGID:], tables)
        for level in tables.levels:
            carrier = maps[:, tables.parent[level] + 1]
            product = carrier[..., :3] @ own[:, level]
            product[..., 3] += carrier[..., 3]
            maps[:, level + 1] = product
    of_atom = maps[:, tables.piece]
    return (of_atom[..., :3] * positions.unsqueeze(-2)).sum(-1) + of_atom[..., 3]


def step_gradient(positions: Tensor, gradient: Tensor, tables: PoseTables) -> Tensor:
    """Derivative `[P, 6 + T]` of an energy in the step at zero, from that in the positions."""
    force = gradient.sum(1)
    torque = torch.linalg.cross(positions - positions.mean(1, keepdim=True), gradient).sum(1)
    turns = torsion_gradient(positions, gradient, tables.rotatable, tables.moved)
    return torch.cat([force, torque, turns], dim=-1)


def arms(positions: Tensor, tables: PoseTables) -> Tensor:
    """How far a unit of each coordinate of a step moves the atoms, root mean square: `[P, 6 + T]`, Å for each Å or rad.

    Dividing a step by it makes its coordinates comparable.
    """
    centred = positions - positions.mean(1, keepdim=True)
    whole = (centred.square().sum((1, 2)) * (2 / 3) / positions.shape[1]).sqrt()
    start, end = positions[:, tables.rotatable[:, 0]], positions[:, tables.rotatable[:, 1]]
    axis = torch.nn.functional.normalize(end - start, dim=-1)
    arm = torch.linalg.cross(axis.unsqueeze(2), positions.unsqueeze(1) - start.unsqueeze(2))  # [P, T, N, 3]
    square = (arm.square().sum(-1) * tables.moved).sum(-1) / positions.shape[1]
    one = torch.ones_like(centred[:, 0])
    rest = torch.cat([whole.unsqueeze(-1).expand(-1, 3), square.sqrt()], dim=-1)
    return torch.cat([one, rest.clamp(min=SMALLEST_ARM)], dim=-1)


def rotation_of(vector: Tensor) -> Tensor:
    """Rotation matrices `[..., 3, 3]` of rotation vectors `[..., 3]`, without gradients at zero."""
    angle = vector.square().sum(-1, keepdim=True).sqrt()
    return _about(vector / angle.clamp(min=torch.finfo(vector.dtype).tiny), angle.squeeze(-1))


def _about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotations about unit vectors `[..., 3]` by angles `[...]`."""
    x, y, z = axis.unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    rest = 1 - cosine
    xs, ys, zs = x * sine, y * sine, z * sine
    xr, yr, zr = x * rest, y * rest, z * rest
    rows = [
        x * xr + cosine, x * yr - zs, x * zr + ys,
        y * xr + zs, y * yr + cosine, y * zr - xs,
        z * xr - ys, z * yr + xs, z * zr + cosine,
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def _turns(positions: Tensor, angles: Tensor, tables: PoseTables) -> Tensor:
    """The affine map of each turn at the current pose, `[P, T, 3, 4]`."""
    start, end = positions[:, tables.rotatable[:, 0]], positions[:, tables.rotatable[:, 1]]
    turn = _about(torch.nn.functional.normalize(end - start, dim=-1), angles)
    offset = start - (turn @ start.unsqueeze(-1)).squeeze(-1)
    return torch.cat([turn, offset.unsqueeze(-1)], dim=-1)
