"""Rotations of space as unit quaternions and as matrices.

A quaternion is (w, x, y, z), `[..., 4]`; q and -q are the same rotation. A matrix R turns
column vectors, `v' = R v`. Everything is differentiable with finite gradients, at the identity
and at half turns too, and works for any leading dimensions.
"""

from __future__ import annotations

from math import factorial

import torch
from torch import Tensor

SERIES_BELOW = 0.05
"""Below this square of an angle (or tangent) the power series replaces a quotient 0/0."""


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton's product of quaternions: the rotation `b` first, then `a`."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    av, bv = torch.broadcast_tensors(av, bv)
    real = aw * bw - (av * bv).sum(-1, keepdim=True)
    return torch.cat([real, aw * bv + bw * av + torch.linalg.cross(av, bv)], dim=-1)


def conjugate(q: Tensor) -> Tensor:
    """The inverse rotation, `(w, -x, -y, -z)`."""
    return torch.cat([q[..., :1], -q[..., 1:]], dim=-1)


def to_matrix(q: Tensor) -> Tensor:
    """Rotation matrices `[..., 3, 3]` of unit quaternions."""
    w, v = q[..., 0, None, None], q[..., 1:]
    outer = v.unsqueeze(-1) * v.unsqueeze(-2)
    identity = torch.eye(3, dtype=q.dtype, device=q.device)
    square = v.square().sum(-1)[..., None, None]
    return identity * (1 - 2 * square) + 2 * outer + 2 * w * cross_matrix(v)


def cross_matrix(v: Tensor) -> Tensor:
    """The antisymmetric matrices of `u -> v x u`, `[..., 3] -> [..., 3, 3]`."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=-1).unflatten(-1, (3, 3))


def axial_vector(matrix: Tensor) -> Tensor:
    """v with `cross_matrix(v) = (A - A^T) / 2`, `[..., 3, 3] -> [..., 3]`."""
    m = matrix - matrix.transpose(-1, -2)
    return 0.5 * torch.stack([m[..., 2, 1], m[..., 0, 2], m[..., 1, 0]], dim=-1)


def from_matrix(matrix: Tensor) -> Tensor:
    """Unit quaternions with w >= 0 of rotation matrices `[..., 3, 3]`.

    The matrix gives the outer product 4 q q^T; its row of the largest diagonal element is a
    multiple of q that is never small (Bar-Itzhack, J. Guid. Control Dyn. 23, 1085, as a special case).
    """
    m = matrix
    d0, d1, d2 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    diagonal = torch.stack([1 + d0 + d1 + d2, 1 + d0 - d1 - d2, 1 - d0 + d1 - d2, 1 - d0 - d1 + d2], dim=-1)
    entries = [diagonal[..., 0], wx, wy, wz, wx, diagonal[..., 1], xy, xz]
    entries += [wy, xy, diagonal[..., 2], yz, wz, xz, yz, diagonal[..., 3]]
    rows = torch.stack(entries, dim=-1).unflatten(-1, (4, 4))
    largest = diagonal.argmax(-1)[..., None, None].expand(*diagonal.shape[:-1], 1, 4)
    q = torch.nn.functional.normalize(rows.gather(-2, largest).squeeze(-2), dim=-1)
    return _positive(q)


def rotate_vectors(q: Tensor, vectors: Tensor) -> Tensor:
    """Vectors `[..., 3]` turned by unit quaternions `[..., 4]`."""
    axis, vectors = torch.broadcast_tensors(q[..., 1:], vectors)
    twice = 2 * torch.linalg.cross(axis, vectors)
    return vectors + q[..., :1] * twice + torch.linalg.cross(axis, twice)


def from_axis_angle(axis: Tensor, angle: Tensor) -> Tensor:
    """Quaternions of turns by `angle [...]` (radians) about unit vectors `axis [..., 3]`."""
    half = 0.5 * angle.unsqueeze(-1)
    return torch.cat([half.cos().expand(*axis.shape[:-1], 1), half.sin() * axis], dim=-1)


def to_axis_angle(q: Tensor) -> tuple[Tensor, Tensor]:
    """Unit axis `[..., 3]` and angle `[...]` between 0 and pi; the axis of the identity is x."""
    q = _positive(q)
    v = q[..., 1:]
    square = v.square().sum(-1, keepdim=True)
    small = square == 0
    x_axis = torch.tensor([1.0, 0.0, 0.0], dtype=q.dtype, device=q.device)
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    axis = torch.where(small, x_axis, v / sine)
    angle = 2 * torch.atan2(torch.where(small, torch.zeros_like(sine), sine), q[..., :1])
    return axis, angle.squeeze(-1)


def from_rotation_vector(vector: Tensor) -> Tensor:
    """Quaternions of axis times angle (radians), `[..., 3] -> [..., 4]`; smooth, at zero too."""
    square = vector.square().sum(-1, keepdim=True)
    near = square < SERIES_BELOW
    angle = torch.where(near, torch.ones_like(square), square).sqrt()
    small = torch.where(near, square, torch.zeros_like(square))
    cosine = torch.where(near, _cosine_half_series(small), (0.5 * angle).cos())
    sinc = torch.where(near, _sinc_half_series(small), (0.5 * angle).sin() / angle)
    return torch.cat([cosine, sinc * vector], dim=-1)


def to_rotation_vector(q: Tensor) -> Tensor:
    """Axis times angle, of length at most pi, `[..., 4] -> [..., 3]`; smooth except at half turns."""
    q = _positive(q)
    w, v = q[..., :1], q[..., 1:]
    square = v.square().sum(-1, keepdim=True)
    near = square < SERIES_BELOW
    sine = torch.where(near, torch.ones_like(square), square).sqrt()
    cosine = torch.where(near, w, torch.ones_like(w))
    tangent2 = torch.where(near, square, torch.zeros_like(square)) / cosine.square()
    factor = torch.where(near, 2 * _arctangent_series(tangent2) / cosine, 2 * torch.atan2(sine, w) / sine)
    return factor * v


def slerp(start: Tensor, end: Tensor, t: Tensor | float) -> Tensor:
    """The rotation a fraction `t` (a number or `[...]`) along the shorter great circle from `start` to `end`."""
    fraction = t.unsqueeze(-1) if isinstance(t, Tensor) else t
    turn = to_rotation_vector(multiply(conjugate(start), end))
    return multiply(start, from_rotation_vector(fraction * turn))


def random_quaternions(
    n: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Unit quaternions uniform on SO(3), `[n, 4]`: normalised Gaussians; drawn on the generator's device."""
    source = generator.device if generator is not None else device
    q = torch.randn(n, 4, generator=generator, dtype=torch.float64, device=source)
    return torch.nn.functional.normalize(q, dim=-1).to(device=device, dtype=dtype)


def random_rotations(
    n: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Rotation matrices uniform on SO(3), `[n, 3, 3]`."""
    return to_matrix(random_quaternions(n, generator=generator, device=device)).to(dtype)


def random_orthogonal(
    n: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Matrices of O(3), `[n, 3, 3]`: uniform rotations, every second one times the inversion."""
    parity = 1.0 - 2.0 * (torch.arange(n, device=device) % 2)
    return random_rotations(n, generator=generator, dtype=dtype, device=device) * parity.to(dtype)[:, None, None]


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle (radians, 0 to pi) between vectors of any length, `[..., 3], [..., 3] -> [...]`.

    From sine and cosine together, so that it is as accurate near 0 and pi as elsewhere. The
    gradient is zero where the vectors are collinear, where the angle has a kink.
    """
    a, b = torch.broadcast_tensors(a, b)
    square = torch.linalg.cross(a, b).square().sum(-1)
    collinear = square == 0
    sine = torch.where(collinear, torch.ones_like(square), square).sqrt()
    return torch.atan2(torch.where(collinear, torch.zeros_like(sine), sine), (a * b).sum(-1))


def _positive(q: Tensor) -> Tensor:
    """The one of q and -q with w >= 0."""
    return torch.where(q[..., :1] < 0, -q, q)


def _horner(x: Tensor, coefficients: list[float]) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value


def _cosine_half_series(square: Tensor) -> Tensor:
    """cos(t/2) from t^2."""
    return _horner(square, [(-1) ** k / (factorial(2 * k) * 4.0**k) for k in range(8)])


def _sinc_half_series(square: Tensor) -> Tensor:
    """sin(t/2) / t from t^2."""
    return _horner(square, [(-1) ** k / (factorial(2 * k + 1) * 2.0 * 4.0**k) for k in range(8)])


def _arctangent_series(square: Tensor) -> Tensor:
    """arctan(t) / t from t^2."""
    return _horner(square, [(-1) ** k / (2 * k + 1) for k in range(14)])
