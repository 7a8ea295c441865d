"""The universal manifold embedding: moments of an invariant colouring, which turn with the cloud in a known way.

Haitman, Efraim and Francos, "UMERegRobust", ECCV 2024; Efraim and Francos, IEEE TSP 2019. For features f that no
motion changes, M = sum_i f_i (1, x_i)^T goes to M D under x -> R x + t, with D = [[1, t^T], [0, R^T]]: the column
space stays, and the motion follows from two matrices in closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.kabsch import optimal_rotation
from eqcli.geometry.motions import Motion
from eqcli.graph.points.search import within
from eqcli.models.pointcloud.matches import Matches

RANK_BELOW = 1e-6
"""Singular value over the largest below which a column adds no direction."""

DETERMINED = 1e-4
"""Second singular value over the first that the moments of a match need to give a rotation."""

LEAST_CHANNELS = 4
"""Features that a colouring needs; fewer leave no column space to compare."""

BALLS = 256
"""Balls whose points are held at a time."""


def ume_matrix(points: Tensor, colouring: Tensor) -> Tensor:
    """Zeroth and first moments `[d, 4]` of one ball: points `[N, 3]`, invariant features `[N, d]`.

    Divided by the sum of all features, so that the density of the points matters less.

    Raises
    ------
    InputError
        Fewer than four features, no point, or features whose sum is not positive.
    """
    offsets = torch.tensor([0, len(points)], device=points.device)
    index = torch.arange(len(points), device=points.device)
    origin = points.new_zeros(1, 3)
    return _matrices(points, colouring, origin, offsets, index)[0]


def ume_matrices(points: Tensor, colouring: Tensor, centres: Tensor, radius: float) -> Tensor:
    """Moments `[K, d, 4]` of the balls of `radius` about `centres [K, 3]`, in coordinates relative to the centre.

    Raises
    ------
    InputError
        As :func:`ume_matrix`, for any ball.
    """
    found = []
    for block in centres.split(BALLS):
        offsets, index, _ = within(block, points, radius)
        found.append(_matrices(points, colouring, block, offsets, index))
    return torch.cat(found)


def _matrices(points: Tensor, colouring: Tensor, centres: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
    if colouring.shape[1] < LEAST_CHANNELS:
        raise InputError(f"a colouring of {colouring.shape[1]} features; at least {LEAST_CHANNELS} are needed")
    sizes = offsets[1:] - offsets[:-1]
    if bool((sizes == 0).any()):
        raise InputError("a ball holds no point", hint="Use a larger radius.")
    ball = torch.repeat_interleave(torch.arange(len(sizes), device=points.device), sizes)
    local = points[index] - centres[ball]
    extended = torch.cat([torch.ones_like(local[:, :1]), local], dim=1)
    colours = colouring.to(points)
    moments = points.new_zeros(len(sizes), colours.shape[1], 4)
    # One column after the other, so that only [N, d] is held.
    for column in range(4):
        values = colours[index] * extended[:, column, None]
        moments[..., column] = points.new_zeros(len(sizes), colours.shape[1]).index_add(0, ball, values)
    total = moments[..., 0].sum(1)
    if not bool((total > 0).all()):
        raise InputError("the features of a ball have no positive sum", hint="Use a colouring that is not negative.")
    return moments / total[:, None, None]


def column_spaces(matrices: Tensor, scale: float = 1.0) -> Tensor:
    """Orthonormal bases `[..., d, 4]`; zero columns where the space has fewer dimensions.

    `scale` is a length, the radius of the balls, that makes zeroth and first moments comparable.
    """
    unit = matrices.new_tensor([1.0, 1 / scale, 1 / scale, 1 / scale])
    basis, values, _ = torch.linalg.svd(matrices * unit, full_matrices=False)
    return basis * (values > RANK_BELOW * values[..., :1]).to(basis).unsqueeze(-2)


def subspace_distances(a: Tensor, b: Tensor) -> Tensor:
    """|P - P'|_F / sqrt 2 between the projections on column spaces `[K, d, 4]` and `[L, d, 4]`, `[K, L]`.

    0 for the same space, 2 for orthogonal ones of four dimensions.
    """
    one, other = (basis @ basis.transpose(-1, -2) for basis in (a, b))
    ranks = [basis.square().sum((-1, -2)) for basis in (a, b)]
    square = ranks[0].unsqueeze(1) + ranks[1] - 2 * one.flatten(1) @ other.flatten(1).T
    return (0.5 * square).clamp(min=0).sqrt()


def ume_motion(a: Tensor, b: Tensor) -> tuple[Motion, Tensor]:
    """The motions that take moments `a [..., d, 4]` to `b [..., d, 4]`, and which are determined, `[...]`.

    Least squares on the first moments: what lies along the zeroth moments gives the translation, the rest the
    rotation.
    """
    zero_a, zero_b = a[..., 0], b[..., 0]
    first_a, first_b = a[..., 1:], b[..., 1:]
    mean_a, mean_b = _along(first_a, zero_a), _along(first_b, zero_b)
    left = first_a - zero_a.unsqueeze(-1) * mean_a.unsqueeze(-2)
    right = first_b - zero_b.unsqueeze(-1) * mean_b.unsqueeze(-2)
    covariance = right.transpose(-1, -2) @ left
    shape = covariance.shape[:-2]
    rotation, gap = optimal_rotation(covariance.reshape(-1, 3, 3))
    rotation, gap = rotation.reshape(*shape, 3, 3), gap.reshape(shape)
    shift = mean_b - (rotation @ mean_a.unsqueeze(-1)).squeeze(-1)
    return Motion(rotation, shift), gap > DETERMINED


def _along(first: Tensor, zero: Tensor) -> Tensor:
    """Coordinates of the first moments along the zeroth, `[..., 3]`."""
    size = zero.square().sum(-1, keepdim=True).clamp(min=torch.finfo(zero.dtype).tiny)
    return (zero.unsqueeze(-1) * first).sum(-2) / size


def ume_matches(
    source: tuple[Tensor, Tensor, Tensor],
    target: tuple[Tensor, Tensor, Tensor],
    radius: float,
    *,
    mutual: bool = True,
    count: int | None = None,
) -> Matches:
    """Matches of key points by their column spaces, each with the rotation that its two matrices give.

    Parameters
    ----------
    source, target
        Points `[N, 3]`, their invariant features `[N, d]`, key points `[K, 3]`.
    radius
        Of the balls about the key points; each must hold a point of its cloud.
    mutual
        Keep pairs alone that are nearest to one another in both directions.
    count
        The closest so many matches at most.

    Returns
    -------
    Matches
        Their indices are those of key points; the weight is exp(-d^2) of the distance d of the column spaces.
        Pairs of balls that determine no rotation are left out. The target point is where the motion of the
        moments takes the source key point, if that is closer than half the radius to the target key point.
    """
    a, b = (ume_matrices(p.double(), f.double(), keys.double(), radius) for p, f, keys in (source, target))
    distance = subspace_distances(column_spaces(a, radius), column_spaces(b, radius))
    places = torch.arange(len(a), device=a.device)
    best = distance.argmin(1)
    pairs = torch.stack([places, best], dim=1)
    if mutual:
        pairs = pairs[distance.argmin(0)[best] == places]
    motion, determined = ume_motion(a[pairs[:, 0]], b[pairs[:, 1]])
    length = distance[pairs[:, 0], pairs[:, 1]]
    order = torch.argsort(length, stable=True)
    order = order[determined[order]][:count]
    pairs, shift = pairs[order], motion.translation[order]
    shift = shift * (torch.linalg.vector_norm(shift, dim=1, keepdim=True) < 0.5 * radius)
    key_source, key_target = source[2].double()[pairs[:, 0]], target[2].double()[pairs[:, 1]] + shift
    weights = torch.exp(-length[order].square())
    return Matches(key_source, key_target, weights, motion.rotation[order], pairs[:, 0], pairs[:, 1])
