"""Rotations and their representations, made independently of the code under test."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps
from eqcli.geometry.spherical_harmonics import SphericalHarmonics


def random_rotation(seed: int) -> Tensor:
    """A rotation matrix drawn uniformly, `[3, 3]` float64."""
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    q = q * torch.sign(torch.diagonal(r))
    return q * torch.sign(torch.linalg.det(q))


def representation(rotation: Tensor, degree: int) -> Tensor:
    """D with Y(R v) = D Y(v), fitted to the harmonics of many directions, `[2l+1, 2l+1]`."""
    generator = torch.Generator().manual_seed(7)
    v = torch.nn.functional.normalize(torch.randn(64, 3, dtype=torch.float64, generator=generator), dim=1)
    harmonics = SphericalHarmonics(degree).double()
    rows = slice(degree**2, (degree + 1) ** 2)
    return torch.linalg.lstsq(harmonics(v)[:, rows], harmonics(v @ rotation.T)[:, rows]).solution.T


def full_representation(rotation: Tensor, lmax: int) -> Tensor:
    """Block-diagonal representation on all degrees up to lmax."""
    return torch.block_diag(*[representation(rotation, degree) for degree in range(lmax + 1)])


def action(irreps: Irreps, matrix: Tensor) -> Tensor:
    """The representation of an orthogonal matrix on tensors whose channels are last, `[dim, dim]` float64."""
    proper = matrix * torch.linalg.det(matrix).sign()
    improper = bool(torch.linalg.det(matrix) < 0)
    parts = []
    for mul, ir in irreps:
        block = torch.kron(representation(proper, ir.l), torch.eye(mul, dtype=torch.float64))
        parts.append(block * ir.p if improper else block)
    return torch.block_diag(*parts)
