"""Charts of lattices: the matrix of the cell, lengths and angles, and the logarithm of its symmetric root.

Cells are `[..., 3, 3]` in Å with the lattice vectors a, b, c as rows. The logarithmic chart and its families of
crystals are those of DiffCSP++ (Jiao et al., ICLR 2024): S = (L L^T)^(1/2), the cell without its rotation, and
log S = sum_i k_i B_i with an orthonormal basis of the symmetric matrices, so that families are linear subspaces.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqcli.geometry.symmetric_functions import symmetric_exp, symmetric_log

# Rows: xy, xz, yz, diag(1, -1, 0), diag(1, 1, -2), identity; normalised below.
_DIRECTIONS = (
    ((0, 1, 0), (1, 0, 0), (0, 0, 0)),
    ((0, 0, 1), (0, 0, 0), (1, 0, 0)),
    ((0, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 0, 0), (0, -1, 0), (0, 0, 0)),
    ((1, 0, 0), (0, 1, 0), (0, 0, -2)),
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
)

# The last space group of each family, and which of the six coordinates are free in it.
_FAMILIES = (
    (2, (1, 1, 1, 1, 1, 1)),  # triclinic
    (15, (0, 1, 0, 1, 1, 1)),  # monoclinic, b along the axis
    (74, (0, 0, 0, 1, 1, 1)),  # orthorhombic
    (142, (0, 0, 0, 0, 1, 1)),  # tetragonal
    (194, (0, 0, 0, 0, 1, 1)),  # trigonal and hexagonal, in hexagonal axes
    (230, (0, 0, 0, 0, 0, 1)),  # cubic
)


def lattice_parameters(cell: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths `[..., 3]` in Å and angles `[..., 3]` in radians: alpha = (b, c), beta = (a, c), gamma = (a, b)."""
    one, other = cell[..., [1, 0, 0], :], cell[..., [2, 2, 1], :]
    # The arc tangent keeps its digits, and its gradient, where the arc cosine loses them.
    across = torch.linalg.vector_norm(torch.linalg.cross(one, other), dim=-1)
    return torch.linalg.vector_norm(cell, dim=-1), torch.atan2(across, (one * other).sum(-1))


def lattice_matrix(lengths: Tensor, angles: Tensor) -> Tensor:
    """The right-handed cell `[..., 3, 3]` with a along x and b in the xy plane.

    Three angles that no cell has (see `possible_angles`) give a flat one: c in the plane of a and b, volume 0
    and no gradient out of the plane.
    """
    cosine, sine = angles.cos(), angles.sin()
    zero = torch.zeros_like(cosine[..., 0])
    c_y = (cosine[..., 0] - cosine[..., 1] * cosine[..., 2]) / sine[..., 2]
    square = _squared_unit_volume(angles)
    flat = square <= 0
    height = torch.where(flat, zero, torch.where(flat, torch.ones_like(square), square).sqrt()) / sine[..., 2]
    a = torch.stack([torch.ones_like(zero), zero, zero], -1)
    b = torch.stack([cosine[..., 2], sine[..., 2], zero], -1)
    c = torch.stack([cosine[..., 1], c_y, height], -1)
    return torch.stack([a, b, c], -2) * lengths.unsqueeze(-1)


def possible_angles(angles: Tensor) -> Tensor:
    """Whether there is a cell of some volume with these angles in radians, `[..., 3]` -> `[...]` bool."""
    inside = ((angles > 0) & (angles < math.pi)).all(-1)
    largest = angles.amax(-1)
    total = angles.sum(-1)
    return inside & (total < 2 * math.pi) & (2 * largest < total)


def volume(cell: Tensor) -> Tensor:
    """Volume in Å^3, `[...]`, positive for left-handed cells too."""
    return (cell[..., 0, :] * torch.linalg.cross(cell[..., 1, :], cell[..., 2, :])).sum(-1).abs()


def log_symmetric(cell: Tensor) -> Tensor:
    """The six coordinates k of log (L L^T)^(1/2), `[..., 6]`; they know neither rotation nor handedness.

    The gradient is exact for equal eigenvalues (a cubic cell) too. A flat cell has infinite coordinates and
    no finite gradient; second derivatives are not to be had.
    """
    half_log = 0.5 * symmetric_log(cell @ cell.transpose(-1, -2))
    return torch.einsum("...ij,kij->...k", half_log, _basis(cell))


def from_log_symmetric(k: Tensor) -> Tensor:
    """The symmetric, right-handed cell `exp(sum_i k_i B_i)`, `[..., 3, 3]`, of the coordinates `[..., 6]`."""
    return symmetric_exp(torch.einsum("...k,kij->...ij", k, _basis(k)))


def family_mask(
    space_group: int | Tensor, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """`(mask, bias)` that take any k into the crystal family of a space group: `k * mask + bias`.

    Parameters
    ----------
    space_group
        Number from 1 to 230, or a tensor `[...]` of them. The conventional cell is meant: monoclinic groups with b
        along the axis, trigonal ones in hexagonal axes.
    dtype, device
        Of the results `[..., 6]`; torch's default, and the device of the tensor.

    Raises
    ------
    ValueError
        For a number that is none of a space group.
    """
    number = torch.as_tensor(space_group, device=device)
    if bool(((number < 1) | (number > 230)).any()):
        raise ValueError("space groups have numbers from 1 to 230")
    dtype = dtype or torch.get_default_dtype()
    last = torch.tensor([last for last, _ in _FAMILIES], device=number.device)
    row = torch.bucketize(number, last)
    masks = torch.tensor([free for _, free in _FAMILIES], dtype=dtype, device=number.device)
    biases = torch.zeros_like(masks)
    biases[4, 0] = -math.sqrt(2) * math.log(3) / 4  # the angle of 120 degrees between a and b
    return masks[row], biases[row]


def _basis(like: Tensor) -> Tensor:
    """B, `[6, 3, 3]`."""
    matrices = torch.tensor(_DIRECTIONS, dtype=torch.float64)
    unit = matrices / torch.linalg.matrix_norm(matrices)[:, None, None]
    return unit.to(dtype=like.dtype, device=like.device)


def _squared_unit_volume(angles: Tensor) -> Tensor:
    """Squared volume of a cell with these angles and sides of 1; negative where there is none.

    1 - sum cos^2 + 2 prod cos as a product of sines, which keeps its digits in flat cells.
    """
    half = 0.5 * angles.sum(-1)
    return 4 * half.sin() * (half.unsqueeze(-1) - angles).sin().prod(-1)
