"""Points, planes and motions of space as multivectors of the projective algebra Cl(3,0,1).

Vectors are planes and trivectors are points (GATr; Brehmer et al., NeurIPS 2023, table 1; Dorst and
De Keninck, "A Guided Tour to the Plane-Based Geometric Algebra PGA", 2022). Components are in
bitwise order, `[.., 16]`, e0 being bit 0; lengths in Å. A motion acts by
:meth:`~eqcli.geometry.clifford_algebra.CliffordAlgebra.sandwich`, a reflection with `odd=True`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.clifford_algebra import CliffordAlgebra

PROJECTIVE = CliffordAlgebra(3, r=1)

SCALAR, E0, E1, E2, E3 = 0, 1, 2, 4, 8
_POINT = ((E0 | E2 | E3, -1.0), (E0 | E1 | E3, 1.0), (E0 | E1 | E2, -1.0))
"""Blades of x, y and z of a point, with their signs, beside e123."""


def point(positions: Tensor) -> Tensor:
    """The trivector of points at `[.., 3]`, with e123 = 1."""
    return _multivector(
        positions, [(E1 | E2 | E3, torch.ones_like(positions[..., 0])), *_signed(_POINT, positions.unbind(-1))]
    )


def point_position(multivector: Tensor) -> Tensor:
    """The position `[.., 3]` of a point; infinite where e123 is zero (a direction)."""
    numbers = torch.stack([multivector[..., blade] * sign for blade, sign in _POINT], dim=-1)
    return numbers / multivector[..., E1 | E2 | E3].unsqueeze(-1)


def direction(vectors: Tensor) -> Tensor:
    """Points at infinity along `[.., 3]`: they turn and do not shift."""
    return _multivector(vectors, _signed(_POINT, vectors.unbind(-1)))


def plane(normal: Tensor, distance: Tensor) -> Tensor:
    """The vector of the plane `normal . x = distance`, from `[.., 3]` (unit) and `[..]`."""
    parts = list(zip((E1, E2, E3), normal.unbind(-1), strict=True))
    return _multivector(normal, [(E0, -distance), *parts])


def translator(shift: Tensor) -> Tensor:
    """The motor that shifts by `[.., 3]`."""
    one = torch.ones_like(shift[..., 0])
    parts = [(E0 | axis, -0.5 * s) for axis, s in zip((E1, E2, E3), shift.unbind(-1), strict=True)]
    return _multivector(shift, [(SCALAR, one), *parts])


def rotor(quaternion: Tensor) -> Tensor:
    """The motor that turns about an axis through the origin as the unit quaternion (w, x, y, z) does."""
    w, x, y, z = quaternion.unbind(-1)
    return _multivector(quaternion, [(SCALAR, w), (E2 | E3, -x), (E1 | E3, y), (E1 | E2, -z)])


def motor(quaternion: Tensor, shift: Tensor) -> Tensor:
    """The motor that turns first and shifts then."""
    return PROJECTIVE.product(translator(shift), rotor(quaternion))


def _signed(blades: tuple[tuple[int, float], ...], numbers: tuple[Tensor, ...]) -> list[tuple[int, Tensor]]:
    return [(blade, sign * number) for (blade, sign), number in zip(blades, numbers, strict=True)]


def _multivector(like: Tensor, parts: list[tuple[int, Tensor]]) -> Tensor:
    by_blade = dict(parts)
    shape = torch.broadcast_shapes(like.shape[:-1], *(value.shape for value in by_blade.values()))
    zero = like.new_zeros(())
    columns = [by_blade.get(blade, zero).expand(shape) for blade in range(PROJECTIVE.dim)]
    return torch.stack(columns, dim=-1)
