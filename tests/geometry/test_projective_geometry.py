from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry import projective_geometry as pga
from eqcli.geometry.projective_geometry import PROJECTIVE
from eqcli.geometry.rotations import random_quaternions, rotate_vectors


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def motions() -> list[tuple[Tensor, bool]]:
    """A motor, a reflection in a plane off the origin, and both: versor and whether it is odd."""
    motor = pga.motor(random_quaternions(1, generator=torch.Generator().manual_seed(1))[0], normal(3, seed=2))
    unit = torch.nn.functional.normalize(normal(3, seed=3), dim=0)
    mirror = pga.plane(unit, torch.tensor(0.7, dtype=torch.float64))
    return [(motor, False), (mirror, True), (PROJECTIVE.product(motor, mirror), True)]


def test_motors_move_points_planes_and_directions() -> None:
    q, shift, x = random_quaternions(1, generator=torch.Generator().manual_seed(1))[0], normal(3, seed=2), normal(5, 3)
    motor = pga.motor(q, shift).expand(5, 16)
    moved = PROJECTIVE.sandwich(motor, pga.point(x))
    expected = rotate_vectors(q, x) + shift
    torch.testing.assert_close(moved, pga.point(expected), atol=1e-13, rtol=0)
    torch.testing.assert_close(pga.point_position(moved), expected, atol=1e-13, rtol=0)
    turned = PROJECTIVE.sandwich(motor, pga.direction(x))
    torch.testing.assert_close(turned, pga.direction(rotate_vectors(q, x)), atol=1e-13, rtol=0)
    n, d = torch.nn.functional.normalize(normal(5, 3, seed=6), dim=1), normal(5, seed=7)
    found = PROJECTIVE.sandwich(motor, pga.plane(n, d))
    normals = rotate_vectors(q, n)
    torch.testing.assert_close(found, pga.plane(normals, d + normals @ shift), atol=1e-13, rtol=0)


def test_a_reflection_mirrors_points() -> None:
    n, x = torch.nn.functional.normalize(normal(3, seed=3), dim=0), normal(5, 3)
    mirror = pga.plane(n, torch.tensor(0.7, dtype=torch.float64)).expand(5, 16)
    mirrored = x - 2 * (x @ n - 0.7)[:, None] * n
    moved = PROJECTIVE.sandwich(mirror, pga.point(x), odd=True)
    torch.testing.assert_close(pga.point_position(moved), mirrored, atol=1e-13, rtol=0)


def test_a_point_lies_on_a_plane_when_their_meet_vanishes() -> None:
    x, n = normal(5, 3), torch.nn.functional.normalize(normal(5, 3, seed=6), dim=1)
    d = (x * n).sum(1)
    on = PROJECTIVE.outer(pga.point(x), pga.plane(n, d))
    off = PROJECTIVE.outer(pga.point(x), pga.plane(n, d + 0.5))
    assert float(on.abs().max()) < 1e-14
    torch.testing.assert_close(off[:, -1].abs(), torch.full((5,), 0.5, dtype=torch.float64), atol=1e-14, rtol=0)


def test_three_planes_meet_in_a_point_and_three_points_join_in_a_plane() -> None:
    x = normal(3, 3)
    axes = torch.eye(3, dtype=torch.float64)
    a, b, c = (pga.plane(axes[i], x[0, i]) for i in range(3))
    meet = PROJECTIVE.outer(PROJECTIVE.outer(a, b), c)
    torch.testing.assert_close(pga.point_position(meet), x[0], atol=1e-14, rtol=0)
    p, q, r = pga.point(x)
    joined = PROJECTIVE.join(PROJECTIVE.join(p, q), r)
    torch.testing.assert_close(joined, PROJECTIVE.grade(joined, 1), atol=1e-14, rtol=0)
    for member in (p, q, r):
        assert float(PROJECTIVE.outer(joined, member).abs().max()) < 1e-13
    area = joined[[pga.E1, pga.E2, pga.E3]].norm()
    expected = torch.linalg.cross(x[1] - x[0], x[2] - x[0]).norm()
    torch.testing.assert_close(area, expected, atol=1e-13, rtol=0)


def test_products_respect_motions_and_reflections() -> None:
    x, y, reference = normal(3, 4, 16).unbind(0)

    def joined(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return PROJECTIVE.join(a, b, reference=c)

    def multiplied(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return PROJECTIVE.product(a, b)

    for versor, odd in motions():
        torch.testing.assert_close(
            PROJECTIVE.product(versor, PROJECTIVE.reverse(versor))[0], torch.tensor(1.0).double(), atol=1e-13, rtol=0
        )

        def move(multivector: Tensor, u: Tensor = versor, flips: bool = odd) -> Tensor:
            return PROJECTIVE.sandwich(u.expand_as(multivector), multivector, odd=flips)

        for operation in (joined, multiplied):
            expected = move(operation(x, y, reference))
            found = operation(move(x), move(y), move(reference))
            torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)
            assert float((found - operation(x, y, reference)).abs().max()) > 0.1


def test_a_join_without_reference_sees_handedness() -> None:
    x, y, _ = normal(3, 4, 16).unbind(0)
    versor, odd = motions()[1]
    versor = versor.expand_as(x)
    found = PROJECTIVE.join(PROJECTIVE.sandwich(versor, x, odd=odd), PROJECTIVE.sandwich(versor, y, odd=odd))
    expected = PROJECTIVE.sandwich(versor, PROJECTIVE.join(x, y), odd=odd)
    torch.testing.assert_close(found, -expected, atol=1e-12, rtol=0)
