"""Rigid motions of space: `y = R x + t` takes source points onto target points.

A small motion is a twist, `[..., 6]`: (translation part, rotation vector), so that `exp(twist)` and `log()`
are those of SE(3). A perturbation stands on the left: `exp(twist)` moves points of the target frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry import rotations
from eqcli.geometry.rotations import SERIES_BELOW, cross_matrix

ORTHOGONAL_WITHIN = 1e-4
"""How far R^T R of a matrix that is read may lie from the identity."""

INVERSE_SERIES = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000)
"""Of (1 - (a/2) cot(a/2)) / a^2 in powers of a^2."""


@dataclass(frozen=True)
class Motion:
    """A rotation followed by a translation, or a batch of them.

    Attributes
    ----------
    rotation
        `[..., 3, 3]`, orthogonal with determinant 1.
    translation
        `[..., 3]`, the unit of the points.
    """

    rotation: Tensor
    translation: Tensor

    @staticmethod
    def identity(*, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Motion:
        """The motion that leaves everything where it is."""
        return Motion(torch.eye(3, dtype=dtype, device=device), torch.zeros(3, dtype=dtype, device=device))

    @staticmethod
    def from_matrix(matrix: Tensor) -> Motion:
        """The motion of homogeneous matrices `[..., 4, 4]`.

        Raises
        ------
        ValueError
            Where a matrix is no rigid motion: another last row than (0, 0, 0, 1), a scale, a shear, a reflection.
        """
        if matrix.shape[-2:] != (4, 4):
            raise ValueError(f"a matrix of 4 x 4 is expected, not {tuple(matrix.shape)}")
        rotation, last = matrix[..., :3, :3], matrix[..., 3, :]
        identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
        off = (rotation.transpose(-1, -2) @ rotation - identity).abs().amax((-1, -2))
        rigid = (off < ORTHOGONAL_WITHIN) & (torch.linalg.det(rotation) > 0)
        straight = ((last - last.new_tensor([0.0, 0.0, 0.0, 1.0])).abs() < ORTHOGONAL_WITHIN).all(-1)
        if not bool((rigid & straight).all()):
            raise ValueError("the matrix is no rigid motion: its rotation must be orthogonal with determinant 1")
        return Motion(rotation, matrix[..., :3, 3])

    @staticmethod
    def exp(twist: Tensor) -> Motion:
        """The motion of twists `[..., 6]`, (translation part, rotation vector in radians)."""
        vector = twist[..., 3:]
        rotation = rotations.to_matrix(rotations.from_rotation_vector(vector))
        shift = (_left_jacobian(vector) @ twist[..., :3].unsqueeze(-1)).squeeze(-1)
        return Motion(rotation, shift)

    def log(self) -> Tensor:
        """The twist `[..., 6]` of the motion, its rotation vector at most pi long."""
        vector = rotations.to_rotation_vector(rotations.from_matrix(self.rotation))
        part = (_inverse_left_jacobian(vector) @ self.translation.unsqueeze(-1)).squeeze(-1)
        return torch.cat([part, vector], dim=-1)

    def matrix(self) -> Tensor:
        """Homogeneous matrices `[..., 4, 4]`."""
        top = torch.cat([self.rotation, self.translation.unsqueeze(-1)], dim=-1)
        last = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
        return torch.cat([top, last], dim=-2)

    def inverse(self) -> Motion:
        """The motion back, from target to source."""
        back = self.rotation.transpose(-1, -2)
        return Motion(back, -(back @ self.translation.unsqueeze(-1)).squeeze(-1))

    def then(self, other: Motion) -> Motion:
        """This motion first, `other` after it."""
        shift = (other.rotation @ self.translation.unsqueeze(-1)).squeeze(-1) + other.translation
        return Motion(other.rotation @ self.rotation, shift)

    def apply(self, points: Tensor) -> Tensor:
        """Points `[..., N, 3]` moved, in the wider of the two floating types."""
        dtype = torch.promote_types(points.dtype, self.rotation.dtype)
        turn, shift = self.rotation.to(dtype), self.translation.to(dtype)
        return points.to(dtype) @ turn.transpose(-1, -2) + shift.unsqueeze(-2)

    def turn(self, vectors: Tensor) -> Tensor:
        """Directions `[..., N, 3]` turned and not shifted."""
        dtype = torch.promote_types(vectors.dtype, self.rotation.dtype)
        return vectors.to(dtype) @ self.rotation.to(dtype).transpose(-1, -2)

    def to(self, like: Tensor) -> Motion:
        """The same motion in the type and on the device of another tensor."""
        return Motion(self.rotation.to(like), self.translation.to(like))

    def at(self, index: int | Tensor) -> Motion:
        """One motion, or some, of a batch."""
        return Motion(self.rotation[index], self.translation[index])

    def adjoint(self) -> Tensor:
        """`[..., 6, 6]`, which takes a twist on the right to the one on the left: `T exp(a) = exp(Ad a) T`."""
        moved = cross_matrix(self.translation) @ self.rotation
        top = torch.cat([self.rotation, moved], dim=-1)
        bottom = torch.cat([torch.zeros_like(self.rotation), self.rotation], dim=-1)
        return torch.cat([top, bottom], dim=-2)


def rotation_error(a: Tensor, b: Tensor) -> Tensor:
    """Degrees, 0 to 180, between rotations `[..., 3, 3]`; from a quaternion, hence exact near 0 and near 180."""
    _, angle = rotations.to_axis_angle(rotations.from_matrix(a.transpose(-1, -2) @ b))
    return angle * (180.0 / math.pi)


def translation_error(a: Tensor, b: Tensor) -> Tensor:
    """Distance of translations `[..., 3]`, in their unit."""
    return torch.linalg.vector_norm(a - b, dim=-1)


def random_rotation(generator: torch.Generator) -> Tensor:
    """One rotation matrix `[3, 3]`, float64, uniform on SO(3)."""
    return rotations.random_rotations(1, generator=generator)[0]


def _left_jacobian(vector: Tensor) -> Tensor:
    """What takes the translation part of a twist to its translation, `[..., 3] -> [..., 3, 3]`."""
    square = vector.square().sum(-1)
    near = square < SERIES_BELOW
    safe = torch.where(near, torch.ones_like(square), square)
    small = torch.where(near, square, torch.zeros_like(square))
    angle = safe.sqrt()
    first = torch.where(near, _series(small, 2), (1 - angle.cos()) / safe)
    second = torch.where(near, _series(small, 3), (angle - angle.sin()) / (safe * angle))
    return _in_powers(vector, first, second)


def _inverse_left_jacobian(vector: Tensor) -> Tensor:
    square = vector.square().sum(-1)
    near = square < SERIES_BELOW
    safe = torch.where(near, torch.ones_like(square), square)
    small = torch.where(near, square, torch.zeros_like(square))
    half = 0.5 * safe.sqrt()
    series = torch.zeros_like(square)
    for coefficient in reversed(INVERSE_SERIES):
        series = series * small + coefficient
    second = torch.where(near, series, (1 - half / half.tan()) / safe)
    return _in_powers(vector, torch.full_like(square, -0.5), second)


def _series(square: Tensor, offset: int) -> Tensor:
    """sum_k (-1)^k a^(2k) / (2k + offset)!: (1 - cos a)/a^2 for 2, (a - sin a)/a^3 for 3."""
    value = torch.zeros_like(square)
    for k in reversed(range(8)):
        value = value * square + (-1) ** k / math.factorial(2 * k + offset)
    return value


def _in_powers(vector: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """I + first W + second W^2 with the cross matrix W."""
    w = cross_matrix(vector)
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + first[..., None, None] * w + second[..., None, None] * (w @ w)
