"""Grids of what a ligand atom of each type feels from the receptor, for speed: one look-up per atom and pose.

Between the grid points the energy is trilinear, and the gradient is that of the trilinear energy. The values at the
points are such that the energy is right on average, not at the points themselves. Each cell keeps the eight
coefficients of its polynomial side by side, so that an atom reads one stretch of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from eqcli.io.atom_types import AtomType
from eqcli.models.docking.site import Site
from eqcli.models.docking.vina_terms import CUTOFF, PairKind, pair_energy, pair_kind

SPACING = 0.375
"""Å between grid points."""

BLOCK = 8
"""Grid points along each edge of the blocks that share a list of receptor atoms."""

BINS = 128
"""Bins per Å^2 of the table from which the grid is summed."""


@dataclass(frozen=True)
class AffinityMaps:
    """The grids of one site.

    Attributes
    ----------
    site
        The box and the receptor atoms they were summed from.
    spacing
        Å between grid points.
    shape
        Cells along x, y and z; together they cover the box.
    channels
        `[types]` int64: the grid of each atom type, -1 where none was made.
    coefficients
        `[grids * cells, 8]`, kcal/mol: the factor of x^i y^j z^k in the cell, with x, y, z from 0 to 1 across it, in
        the order ijk = 000, 001, 010, ...
    """

    site: Site
    spacing: float
    shape: tuple[int, int, int]
    channels: Tensor
    coefficients: Tensor

    @classmethod
    def of(cls, site: Site, types: Tensor, *, spacing: float = SPACING) -> AffinityMaps:
        """The grids of the atom types among `types` (any shape; -1 is left out)."""
        cells = torch.ceil(site.size / spacing).clamp(min=1).to(torch.int64).tolist()
        channels = torch.full((len(AtomType),), -1, dtype=torch.int64, device=site.positions.device)
        none = site.positions.new_zeros(0, 8)
        return cls(site, spacing, (cells[0], cells[1], cells[2]), channels, none).covering(types)

    def covering(self, types: Tensor) -> AffinityMaps:
        """These grids and those of the types among `types` that have none yet."""
        wanted = torch.unique(types[types >= 0]).to(self.channels.device)
        missing = wanted[self.channels[wanted] < 0]
        if missing.numel() == 0:
            return self
        with torch.no_grad():
            values = self._summed(missing)  # [grids, x, y, z]
            added = torch.cat([polynomial(levelled(grid)) for grid in values]).to(self.site.positions.dtype)
        made = self.coefficients.shape[0] // self.cells
        channels = self.channels.clone()
        channels[missing] = made + torch.arange(missing.numel(), device=channels.device)
        return AffinityMaps(self.site, self.spacing, self.shape, channels, torch.cat([self.coefficients, added]))

    @property
    def cells(self) -> int:
        """Cells of one grid."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def origin(self) -> Tensor:
        """The first grid point, `[3]`, Å."""
        extent = torch.tensor(self.shape, dtype=self.site.size.dtype, device=self.site.size.device) * self.spacing
        return self.site.centre - extent / 2

    def energy_and_gradient(self, coordinates: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
        """What atoms feel: energy `[H, P]` and gradient `[3, H, P]` at coordinates `[3, H, P]` (Å) for types `[H]`.

        Atoms out of the grid have the energy of the nearest point of its surface, and no gradient across it.
        """
        shape = torch.tensor(self.shape, dtype=coordinates.dtype, device=coordinates.device)[:, None, None]
        scaled = (coordinates - self.origin[:, None, None]) / self.spacing
        inside = torch.minimum(scaled.clamp(min=0), shape)
        cell = torch.minimum(inside.floor(), shape - 1)
        x, y, z = (inside - cell).flatten(1).unsqueeze(-1).unbind(0)  # [H*P, 1] each
        first = self.channels[types] * self.cells
        place = (cell[0] * self.shape[1] + cell[1]) * self.shape[2] + cell[2]
        row = place.to(torch.int64) + first[:, None]
        a = torch.index_select(self.coefficients, 0, row.flatten())  # [H*P, 8]
        along_x = a[:, 4:]
        in_yz = torch.addcmul(a[:, :4], along_x, x)
        along_y = in_yz[:, 2:]
        in_z = torch.addcmul(in_yz[:, :2], along_y, y)
        slope_x = torch.addcmul(along_x[:, :2], along_x[:, 2:], y)
        both = torch.stack([in_z, slope_x, along_y])  # [3, H*P, 2]
        value, slope_x, slope_y = torch.addcmul(both[..., 0], both[..., 1], z.squeeze(-1)).unbind(0)
        gradient = torch.stack([slope_x, slope_y, in_z[:, 1]]).view(coordinates.shape) / self.spacing
        return value.view(coordinates.shape[1:]), torch.where(scaled == inside, gradient, 0.0)

    def _summed(self, types: Tensor) -> Tensor:
        """The sums over the receptor at the grid points for each of `types`: `[grids, x + 1, y + 1, z + 1]`.

        Single precision, whose error is far below that of the interpolation.
        """
        site = self.site
        kinds, kind = torch.unique(site.types, return_inverse=True)
        table = energy_table(pair_kind(kinds[:, None], types[None, :], torch.float32), BINS)
        rows = table.shape[1]
        table = table.reshape(-1, types.numel())
        values = table.new_zeros(types.numel(), *(n + 1 for n in self.shape))
        positions = (site.positions - self.origin).to(torch.float32)
        for block in self._blocks():
            axes = [torch.arange(s.start, s.stop, device=site.types.device) * self.spacing for s in block]
            points = torch.cartesian_prod(*axes)
            middle = (points[0] + points[-1]) / 2
            atoms = positions - middle
            beyond = (atoms.abs() - (points[-1] - points[0]) / 2).clamp(min=0)
            near = beyond.square().sum(-1) < CUTOFF**2
            sums = block_sums(points - middle, atoms[near], kind[near] * rows, table, rows)
            values[:, block[0], block[1], block[2]] = sums.T.reshape(-1, *(len(axis) for axis in axes))
        return values

    def _blocks(self) -> Iterator[tuple[slice, slice, slice]]:
        """The grid points in blocks."""
        starts = [range(0, cells + 1, BLOCK) for cells in self.shape]
        for corner in product(*starts):
            x, y, z = (slice(s, min(s + BLOCK, n + 1)) for s, n in zip(corner, self.shape, strict=True))
            yield x, y, z


def energy_table(kind: PairKind, bins: int) -> Tensor:
    """The pair energy in bins of the squared distance, the last of them beyond the cutoff.

    For kinds `[A, B]` the result is `[A, rows, B]` in kcal/mol: the energy at the middle of each of the `bins` per Å^2.
    """
    rows = round(CUTOFF**2 * bins)
    squares = (torch.arange(rows + 1, dtype=kind.radii.dtype, device=kind.radii.device) + 0.5) / bins
    expanded = PairKind(*(x[:, None] for x in (kind.radii, kind.hydrophobic, kind.hydrogen_bond)))
    return pair_energy(squares.sqrt()[:, None], expanded)


def block_sums(points: Tensor, atoms: Tensor, first: Tensor, table: Tensor, rows: int) -> Tensor:
    """The sums of a table `[kinds * rows, types]` over atoms `[K, 3]` at points `[Q, 3]`: `[Q, types]`.

    `first` `[K]` is the first row of each atom's kind, each of which has `rows`, the last for all that is far.
    """
    if atoms.shape[0] == 0:
        return table.new_zeros(points.shape[0], table.shape[1])
    constant = points.square().sum(-1)[:, None] + atoms.square().sum(-1)
    squares = torch.addmm(constant, points, atoms.T, alpha=-2)
    row = squares.mul_(BINS).clamp_(min=0, max=rows - 1).to(torch.int32)
    return embedding_bag(row + first.to(torch.int32), table, mode="sum")


def levelled(grid: Tensor) -> Tensor:
    """Grid values `[X, Y, Z]` lowered by a twelfth of their second differences, raised where those are negative.

    A straight line between two points of a curve that bends upwards lies above it, on average by that much: without
    this the energy would be too high wherever it has a minimum.
    """
    bent = torch.zeros_like(grid)
    for axis in range(3):
        if grid.shape[axis] > 2:
            bent.narrow(axis, 1, grid.shape[axis] - 2).add_(grid.diff(n=2, dim=axis))
    return grid - bent / 12


def polynomial(grid: Tensor) -> Tensor:
    """The coefficients of the trilinear interpolation in each cell of grid values `[X, Y, Z]`: `[cells, 8]`."""
    parts = grid.unsqueeze(-1)
    for axis in range(3):
        low = parts.narrow(axis, 0, parts.shape[axis] - 1)
        parts = torch.stack([low, parts.diff(dim=axis)], dim=-1).flatten(3)
    return parts.reshape(-1, 8)
