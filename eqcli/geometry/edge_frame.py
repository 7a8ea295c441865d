"""Frames of edges: rotations that bring a direction to the polar axis y."""

from __future__ import annotations

from math import cos, sin

import torch
from torch import Tensor

from eqcli.geometry.rotations import multiply

OVERLAP = 0.9
"""Both charts are in use where |y| is below this."""

CUT = 0.57
"""Azimuth (radians) about y, from x, of the two half circles across which the roll jumps."""

SIGN_CHANGE = -0.5
"""Height y at which q, but not its rotation, changes sign on one half of the sphere: away from the axes."""

FLAT = 1e-3
"""Within this of its ends the blend has, to the last digit, the value at the end."""


def align(directions: Tensor, roll: Tensor | None = None) -> Tensor:
    """Unit quaternions `[..., 4]` with R(q) r = +y for unit vectors r `[..., 3]`, after any `roll` about y.

    Of the rotations that do this, which differ by a turn about y (the roll, `[...]` in radians), one
    chart is regular at +y and one at -y. They are blended by a function with all derivatives; since
    both send r to y, so does every mean of the two. No roll can be continuous on the whole
    sphere: it jumps across two arcs at the azimuth `CUT`, away from axes and diagonals, where the
    derivatives are finite all the same. Maps that commute with turns about y do not see it.
    """
    if directions.shape[-1:] != (3,):
        raise ValueError(f"directions are vectors [..., 3], got the shape {tuple(directions.shape)}")
    x, y, z = directions.unbind(-1)
    zero, above, below = torch.zeros_like(x), y > -OVERLAP, y < OVERLAP
    first = torch.stack([_or_one(1 + y, above), -z, zero, x], dim=-1)
    # The chart at -y is rolled by a constant, so that the two are opposed beyond CUT.
    c, s = cos(CUT), sin(CUT)
    up = _or_one(1 - y, below)
    second = torch.stack([c * -z - s * x, c * up, c * x - s * z, -s * up], dim=-1)
    first, second = torch.nn.functional.normalize(first, dim=-1), torch.nn.functional.normalize(second, dim=-1)
    opposed = (first * second).sum(-1, keepdim=True) < 0
    share = _step((y + OVERLAP) / (2 * OVERLAP)).unsqueeze(-1)
    blend = share * first + (1 - share) * torch.where(opposed, -second, second)
    q = torch.nn.functional.normalize(torch.where(opposed & (y < SIGN_CHANGE).unsqueeze(-1), -blend, blend), dim=-1)
    return q if roll is None else multiply(_turn_about_pole(roll), q)


def _turn_about_pole(angle: Tensor) -> Tensor:
    half, zero = 0.5 * angle, torch.zeros_like(angle)
    return torch.stack([half.cos(), zero, half.sin(), zero], dim=-1)


def _or_one(value: Tensor, used: Tensor) -> Tensor:
    """The value where it is used and 1 elsewhere, so that no derivative of an unused chart is infinite."""
    return torch.where(used, value, torch.ones_like(value))


def _step(t: Tensor) -> Tensor:
    """0 up to t = 0, 1 from t = 1, all derivatives continuous."""
    inside = (t > FLAT) & (t < 1 - FLAT)
    safe = torch.where(inside, t, torch.full_like(t, 0.5))
    blend = torch.sigmoid((2 * safe - 1) / (safe * (1 - safe)))
    return torch.where(inside, blend, (t > 0.5).to(t.dtype))
