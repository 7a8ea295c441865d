"""Turns about the bonds of a molecule: dihedral angles, moved atoms, and the fit of torsions to a cloud of points.

A dihedral of the atoms (a, b, c, d) is positive when d, seen along b -> c, lies clockwise of a (IUPAC); turning
the atoms beyond c by x about b -> c adds x to it. The fit is the closed form of Stärk et al., ICML 2022
(EquiBind): the mode of the product of one von Mises density for each pair of neighbours of a bond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqcli.geometry.kabsch import align

STRAIGHT = 1e-4
"""Sine of an angle below which three atoms count as collinear and have no dihedral."""


@dataclass(frozen=True)
class TorsionTables:
    """What turns with what, in one molecule or in a pack of B molecules padded to N atoms and T bonds.

    Attributes
    ----------
    rotatable
        `[T, 2]` or `[B, T, 2]`: bonds as axes i -> j.
    moved
        `[T, N]` or `[B, T, N]` bool: the atoms that a turn of the bond moves, all on one side of it.
    bond
        `[Q]`: the rotatable bond of each quadruple; in a pack, b T + t.
    quadruples
        `[Q, 4]`: atoms (k, i, j, l), one row for each neighbour k of i and l of j; in a pack, b N + atom.
    present
        `[B, N]` bool of a pack, false for padding; None for one molecule.
    """

    rotatable: Tensor
    moved: Tensor
    bond: Tensor
    quadruples: Tensor
    present: Tensor | None = None

    def to(self, device: torch.device | str) -> TorsionTables:
        """The same tables on a device."""
        there: dict[str, Any] = {name: None if x is None else x.to(device) for name, x in vars(self).items()}
        return TorsionTables(**there)


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Dihedral angles in radians, `[..., 3] x 4 -> [...]`; 0 with no gradient where three atoms are collinear."""
    cosine, sine, defined = dihedral_cosine_sine(a, b, c, d)
    return torch.atan2(sine, torch.where(defined, cosine, torch.ones_like(cosine)))


def dihedral_cosine_sine(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine and sine of dihedral angles, and whether they are defined; both are 0 where they are not."""
    u, v, w = b - a, c - b, d - c
    left, right = torch.linalg.cross(u, v), torch.linalg.cross(v, w)
    lengths = [x.square().sum(-1) for x in (u, v, w)]
    defined = left.square().sum(-1) > STRAIGHT**2 * lengths[0] * lengths[1]
    defined = defined & (right.square().sum(-1) > STRAIGHT**2 * lengths[1] * lengths[2])
    x = (left * right).sum(-1)
    y = (u * right).sum(-1) * _safe(lengths[1]).sqrt()
    size = torch.where(defined, x.square() + y.square(), torch.ones_like(x)).rsqrt()
    zero = torch.zeros_like(x)
    return torch.where(defined, x * size, zero), torch.where(defined, y * size, zero), defined


def turned(positions: Tensor, rotatable: Tensor, moved: Tensor, angles: Tensor) -> Tensor:
    """Positions after a turn about each bond in order, each at the place where the turns before it left it.

    Parameters
    ----------
    positions
        `[..., N, 3]`.
    rotatable, moved
        As in `TorsionTables`; with leading axes, those of `positions`.
    angles
        `[..., T]` in radians, right-handed about i -> j.
    """
    shape = torch.broadcast_shapes(positions.shape[:-2], angles.shape[:-1])
    x = positions.expand(*shape, *positions.shape[-2:])
    angles = angles.expand(*shape, angles.shape[-1])
    for t in range(rotatable.shape[-2]):
        start, end = (atom.squeeze(-2) for atom in _ends(x, rotatable[..., t : t + 1, :]))
        if moved.dim() == 2:
            index = moved[t].nonzero().squeeze(-1)
            x = x.index_copy(-2, index, _turn(x.index_select(-2, index), start, end, angles[..., t]))
        else:
            x = torch.where(moved[..., t, :, None], _turn(x, start, end, angles[..., t]), x)
    return x


def torsion_gradient(positions: Tensor, gradient: Tensor, rotatable: Tensor, moved: Tensor) -> Tensor:
    """Derivative of an energy in the angles of `turned` at zero, `[..., T]`, from that in the positions.

    That is the torque of the moved atoms along the axis of the bond. Shapes as in `turned`.
    """
    flag = moved.to(gradient.dtype)
    force = flag @ gradient
    torque = flag @ torch.linalg.cross(positions, gradient)
    start, end = _ends(positions, rotatable)
    axis = _unit(end - start)
    return (axis * (torque - torch.linalg.cross(start, force))).sum(-1)


def torsion_tables(rotatable: Tensor, bonds: Tensor, n_atoms: int, moved: Tensor | None = None) -> TorsionTables:
    """Tables of one molecule from its bonds `[E, 2]` (each once) and its rotatable ones `[T, 2]`.

    Without `moved`, the atoms that j leads to move. A bond listed as rotatable must not lie in a ring.
    """
    neighbours = _neighbours(bonds, n_atoms)
    axes = [(int(i), int(j)) for i, j in rotatable.tolist()]
    if moved is None:
        moved = torch.zeros(len(axes), n_atoms, dtype=torch.bool)
        for t, (i, j) in enumerate(axes):
            moved[t, _beyond(neighbours, i, j)] = True
    rows = [
        (t, k, i, j, m)
        for t, (i, j) in enumerate(axes)
        for k in neighbours[i]
        if k != j
        for m in neighbours[j]
        if m != i
    ]
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 5)
    pairs = torch.tensor(axes, dtype=torch.int64).reshape(-1, 2)
    return TorsionTables(pairs, moved, table[:, 0], table[:, 1:])


def pack(molecules: Sequence[TorsionTables]) -> TorsionTables:
    """Tables of molecules of different size as one, padded; `padded` lays out their positions."""
    n, t = (max((m.moved.shape[axis] for m in molecules), default=0) for axis in (1, 0))
    shape = (len(molecules), t, n)
    rotatable, moved = torch.zeros(*shape[:2], 2, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
    present = torch.zeros(len(molecules), n, dtype=torch.bool)
    for b, one in enumerate(molecules):
        bonds, atoms = one.moved.shape
        rotatable[b, :bonds], moved[b, :bonds, :atoms], present[b, :atoms] = one.rotatable, one.moved, True
    bond = torch.cat([one.bond + b * t for b, one in enumerate(molecules)])
    quadruples = torch.cat([one.quadruples + b * n for b, one in enumerate(molecules)])
    return TorsionTables(rotatable, moved, bond, quadruples, present)


def padded(positions: Sequence[Tensor]) -> Tensor:
    """Positions of molecules of different size, `[B, N, 3]`, zeros at the end."""
    return torch.nn.utils.rnn.pad_sequence(list(positions), batch_first=True)


def fitted_angles(conformer: Tensor, target: Tensor, tables: TorsionTables) -> Tensor:
    """Angles for `turned` that bring the dihedrals of a conformer as near as can be to those of a target, `[..., T]`.

    Each is the mode of the product of von Mises densities of all dihedrals about the bond; 0 for a bond with no
    defined one. Shapes as in `torsion_fit`.
    """
    lead = tables.rotatable.shape[:-2]
    x = conformer.flatten(-3, -2) if lead else conformer
    y = target.flatten(-3, -2) if lead else target
    here, there = (dihedral_cosine_sine(*(p[..., tables.quadruples[:, a], :] for a in range(4))) for p in (x, y))
    cosine = there[0] * here[0] + there[1] * here[1]
    sine = there[1] * here[0] - there[0] * here[1]
    total = lead.numel() * tables.rotatable.shape[-2]
    shape = (*cosine.shape[:-1], total)
    cosine = cosine.new_zeros(shape).index_add(-1, tables.bond, cosine)
    sine = sine.new_zeros(shape).index_add(-1, tables.bond, sine)
    clear = cosine.square() + sine.square() > torch.finfo(cosine.dtype).eps
    angle = torch.atan2(torch.where(clear, sine, torch.zeros_like(sine)), torch.where(clear, cosine, 1.0))
    # A quadruple's dihedral falls where the side of i is the one that moves.
    angle = angle.unflatten(-1, lead + tables.rotatable.shape[-2:-1]) if lead else angle
    return torch.where(_start_moves(tables), -angle, angle)


def torsion_fit(conformer: Tensor, target: Tensor, tables: TorsionTables) -> Tensor:
    """The conformer with its torsions and its place fitted to a cloud of points, one for each atom.

    Bond lengths, angles, rings and chirality stay those of the conformer. A molecule equal to the conformer but
    for its torsions is met exactly.

    Parameters
    ----------
    conformer, target
        `[..., N, 3]` for the tables of one molecule, `[B, N, 3]` for a pack.
    tables
        From `torsion_tables` or `pack`.
    """
    shape = torch.broadcast_shapes(conformer.shape, target.shape)
    conformer, target = conformer.expand(shape), target.expand(shape)
    bent = turned(conformer, tables.rotatable, tables.moved, fitted_angles(conformer, target, tables))
    flat, goal = bent.reshape(-1, *shape[-2:]), target.reshape(-1, *shape[-2:])
    weights = None if tables.present is None else tables.present.to(flat.dtype)
    return align(flat, goal, weights=weights).apply(flat).reshape(shape)


def _start_moves(tables: TorsionTables) -> Tensor:
    """Whether the side of i moves, for each bond: then some neighbour k of a quadruple is among the moved atoms."""
    moved = tables.moved.flatten(0, -2)
    atom = tables.quadruples[:, 0] % max(tables.moved.shape[-1], 1)
    count = torch.zeros(len(moved), dtype=torch.int64, device=moved.device)
    count = count.index_add(0, tables.bond, moved[tables.bond, atom].long())
    return (count > 0).reshape(tables.moved.shape[:-1])


def _turn(points: Tensor, start: Tensor, end: Tensor, angle: Tensor) -> Tensor:
    """Points `[..., n, 3]` turned about the line from `start` to `end`, `[..., 3]` (Rodrigues)."""
    axis = _unit(end - start).unsqueeze(-2)
    arm = points - start.unsqueeze(-2)
    cosine, sine = angle.cos()[..., None, None], angle.sin()[..., None, None]
    along = (arm * axis).sum(-1, keepdim=True) * axis
    return start.unsqueeze(-2) + along + (arm - along) * cosine + torch.linalg.cross(axis.expand_as(arm), arm) * sine


def _ends(positions: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor]:
    """Both atoms of bonds `[K, 2]`, or `[B, K, 2]` in a pack, each `[..., K, 3]`."""
    if bonds.dim() == 2:
        return positions[..., bonds[:, 0], :], positions[..., bonds[:, 1], :]
    index = bonds.unsqueeze(-1).expand(-1, -1, -1, 3)
    return positions.gather(1, index[:, :, 0]), positions.gather(1, index[:, :, 1])


def _unit(v: Tensor) -> Tensor:
    return v * _safe(v.square().sum(-1, keepdim=True)).rsqrt()


def _safe(square: Tensor) -> Tensor:
    """Squares with 1 for 0."""
    return torch.where(square > 0, square, torch.ones_like(square))


def _neighbours(bonds: Tensor, n_atoms: int) -> list[list[int]]:
    lists: list[list[int]] = [[] for _ in range(n_atoms)]
    for a, b in bonds.tolist():
        lists[a].append(b)
        lists[b].append(a)
    return lists


def _beyond(neighbours: list[list[int]], start: int, end: int) -> list[int]:
    """The atoms that `end` leads to without the bond from `start`, without `end` itself."""
    seen, stack = {start, end}, [end]
    while stack:
        for atom in neighbours[stack.pop()]:
            if atom not in seen:
                seen.add(atom)
                stack.append(atom)
    return sorted(seen - {start, end})
