"""Clouds for tests, made from a seed."""

from __future__ import annotations

import torch
from torch import Tensor


def blob(n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """A lopsided cloud of `n` points without any symmetry."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    x[:, 0] += 0.15 * x[:, 0] ** 2
    x[:, 1] += 0.15 * x[:, 1] ** 2
    x[:, 2] += 0.10 * x[:, 2] ** 2
    return x.to(dtype)


def rotation(seed: int = 1) -> Tensor:
    """A rotation matrix of float64."""
    g = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64))
    q = q * torch.sign(torch.diagonal(r))
    return q * torch.sign(torch.linalg.det(q))


def permutation(n: int, seed: int = 2) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def sphere(n: int, seed: int = 0) -> Tensor:
    """Points on a unit sphere; the outward normals are the points."""
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=g, dtype=torch.float64), dim=1)


def bumpy(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points on a closed surface without symmetry, r(u) about a centre, and its outward normals."""
    u = sphere(n, seed).requires_grad_()
    level = _radius(u)
    (slope,) = torch.autograd.grad(level.sum(), u)
    u, level = u.detach(), level.detach()
    slope = slope - (slope * u).sum(1, keepdim=True) * u
    normal = torch.nn.functional.normalize(u - slope / level.unsqueeze(1), dim=1)
    return level.unsqueeze(1) * u, normal


def _radius(u: Tensor) -> Tensor:
    x, y, z = u.unbind(1)
    return 1 + 0.25 * x + 0.2 * x * y + 0.15 * z**3 - 0.2 * y**2 * z + 0.1 * torch.sin(3 * x + 2 * z)
