"""Scenes that the program makes itself: furnished rooms, and streets. Lengths in metres, the third axis up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqcli.data.pair_shapes import Shape, random_rotation, random_solid
from eqcli.data.pair_solids import (
    Floats,
    Integers,
    Solid,
    blob,
    box,
    cylinder,
    grid_faces,
    rectangle,
    sampled,
    superquadric,
)

RADIUS = 35.0
"""Metres from the middle of a street to where its ground ends."""

SENSOR = 1.75
"""Metres above the ground at which a street is scanned."""


@dataclass(frozen=True)
class Scene:
    """The surface of a scene, and places [K, 3] from which it is seen."""

    shape: Shape
    stations: Floats


def room(rng: np.random.Generator, count: int) -> Scene:
    """A room of 3 to 5 m with two to four walls, furniture and clutter, and where a camera may be held in it."""
    width, depth, height = rng.uniform(3, 5), rng.uniform(3, 5), rng.uniform(2.2, 2.8)
    x, y, z = width * np.eye(3)[0], depth * np.eye(3)[1], height * np.eye(3)[2]
    corner = -(x + y) / 2
    # The cross product of the two edges points into the room.
    walls = [rectangle(corner, z, x), rectangle(corner, y, z), rectangle(corner + y, x, z), rectangle(corner + x, z, y)]
    kept = rng.permutation(4)[: int(rng.integers(2, 5))]
    solids = [rectangle(corner, x, y), *(walls[int(k)] for k in kept)]
    half = np.array([width, depth]) / 2
    for _ in range(int(rng.integers(4, 10))):
        piece = FURNITURE[int(rng.integers(len(FURNITURE)))](rng)
        solids += _placed(piece, rng.uniform(-half * 0.85, half * 0.85), rng)
    shape = Shape(*sampled(solids, count, rng))
    stations = rng.uniform([-0.8, -0.8, 0.8], [0.8, 0.8, 1.8], (24, 3)) * np.array([half[0], half[1], 1.0])
    free = ~np.any([s.inside(stations) for s in solids if s.inside is not None], axis=0)
    return Scene(shape, stations[free] if free.sum() > 3 else stations)


def _placed(piece: list[Solid], place: Floats, rng: np.random.Generator) -> list[Solid]:
    """Solids that stand about the origin, turned about the vertical and put at `place` [2]."""
    angle = rng.choice([0, 0.5, 1, 1.5]) * np.pi + rng.normal() * 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return [solid.moved(turn, np.array([*place, 0.0])) for solid in piece]


def _block(size: tuple[float, float, float], centre: tuple[float, float, float]) -> Solid:
    return box(size).moved(np.eye(3), np.array(centre))


def _thing(rng: np.random.Generator, size: float, place: tuple[float, float], floor: float) -> Solid:
    """Any solid of about that size that lies on a level surface."""
    solid = random_solid(rng).moved(size * random_rotation(rng), np.zeros(3))
    return solid.moved(np.eye(3), np.array([*place, floor - solid.vertices[:, 2].min()]))


def table(rng: np.random.Generator) -> list[Solid]:
    """A top on four legs, and what lies on it."""
    w, d, h = float(rng.uniform(0.8, 1.8)), float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.4, 0.9))
    solids = [_block((w, d, 0.05), (0, 0, h))]
    solids += [
        _block((0.06, 0.06, h), (a * (w / 2 - 0.05), b * (d / 2 - 0.05), h / 2)) for a in (-1, 1) for b in (-1, 1)
    ]
    for _ in range(int(rng.integers(1, 6))):
        place = float(rng.uniform(-0.4, 0.4) * w), float(rng.uniform(-0.4, 0.4) * d)
        solids.append(_thing(rng, float(rng.uniform(0.06, 0.2)), place, h + 0.02))
    return solids


def chair(rng: np.random.Generator) -> list[Solid]:
    """A seat on legs or on a pedestal, with a back."""
    w, h = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.5))
    solids = [_block((w, w, 0.06), (0, 0, h)), _block((0.05, w, 0.5), (w / 2, 0, h + 0.25))]
    if rng.random() < 0.5:
        base = cylinder().moved(np.diag([0.04, 0.04, h / 2]), np.array([0, 0, h / 2]))
        return [*solids, base, cylinder().moved(np.diag([w / 2, w / 2, 0.03]), np.array([0, 0, 0.03]))]
    return [*solids, *(_block((0.05, 0.05, h), (a * w / 2.3, b * w / 2.3, h / 2)) for a in (-1, 1) for b in (-1, 1))]


def shelf(rng: np.random.Generator) -> list[Solid]:
    """Boards between two sides and a back, with things on them."""
    w, d, h = float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.25, 0.45)), float(rng.uniform(0.8, 2.1))
    solids = [_block((0.03, d, h), (s * w / 2, 0, h / 2)) for s in (-1, 1)] + [_block((w, 0.03, h), (0, d / 2, h / 2))]
    for level in np.linspace(0.05, h, int(rng.integers(3, 6))):
        solids.append(_block((w, d, 0.03), (0, 0, float(level))))
        for _ in range(int(rng.integers(0, 4))):
            size = float(rng.uniform(0.05, 0.14))
            solids.append(_thing(rng, size, (float(rng.uniform(-0.4, 0.4) * w), 0.0), float(level)))
    return solids


def sofa(rng: np.random.Generator) -> list[Solid]:
    """Soft blocks: a seat, a back and two arms."""
    w, d = float(rng.uniform(0.9, 2.0)), float(rng.uniform(0.7, 0.9))
    soft = superquadric(0.3, 0.3)
    parts = (
        ((w / 2, d / 2, 0.22), (0.0, 0.0, 0.22)),
        ((w / 2, 0.12, 0.4), (0.0, d / 2, 0.45)),
        ((0.1, d / 2, 0.3), (w / 2, 0.0, 0.3)),
        ((0.1, d / 2, 0.3), (-w / 2, 0.0, 0.3)),
    )
    return [soft.moved(np.diag(size), np.array(centre)) for size, centre in parts]


def pile(rng: np.random.Generator) -> list[Solid]:
    """Boxes, balls and other things on the floor."""
    return [
        _thing(rng, float(rng.uniform(0.1, 0.45)), (float(rng.normal() * 0.3), float(rng.normal() * 0.3)), 0.0)
        for _ in range(int(rng.integers(1, 5)))
    ]


FURNITURE: tuple[Callable[[np.random.Generator], list[Solid]], ...] = (table, chair, chair, shelf, sofa, pile, pile)


def street(rng: np.random.Generator, count: int) -> Scene:
    """A sloping street between facades, with cars, poles and trees, and the places along it where a sensor goes by."""
    ground = _Ground(rng)
    solids = [ground.solid()]
    for side in (-1.0, 1.0):
        solids += _facades(rng, side, ground)
        for _ in range(int(rng.integers(3, 9))):
            place = float(rng.uniform(-RADIUS, RADIUS)), side * float(rng.uniform(3.5, 6.0))
            piece = (car, pole, tree, bush)[int(rng.integers(4))](rng)
            solids += [s.moved(np.eye(3), np.array([*place, ground.height(*place) - 0.05])) for s in piece]
    shape = Shape(*sampled(solids, count, rng))
    along = np.linspace(-0.6, 0.6, 25) * RADIUS
    across = rng.uniform(-1.5, 1.5) + 0.5 * np.sin(along / 10)
    stations = [[x, y, ground.height(x, y) + SENSOR] for x, y in zip(along, across, strict=True)]
    return Scene(shape, np.array(stations))


class _Ground:
    """A plane with a slope and long waves."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.slope = rng.normal(size=2) * 0.04
        self.frequency = rng.normal(size=(4, 2)) * 0.15
        self.phase, self.weight = rng.uniform(0, 2 * np.pi, 4), rng.normal(size=4) * 0.12

    def height(self, x: float, y: float) -> float:
        return float(self.heights(np.array([[x, y]]))[0])

    def heights(self, places: Floats) -> Floats:
        return np.asarray(places @ self.slope + np.sin(places @ self.frequency.T + self.phase) @ self.weight)

    def solid(self, cells: int = 40) -> Solid:
        ticks = np.linspace(-RADIUS, RADIUS, cells)
        places = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2)
        faces: Integers = grid_faces(cells, cells)
        wrapped = np.ptp(faces % cells, axis=1) > 1  # The grid of a surface that does not close.
        return Solid(np.column_stack([places, self.heights(places)]), faces[~wrapped][:, ::-1], None)


def _facades(rng: np.random.Generator, side: float, ground: _Ground) -> list[Solid]:
    solids: list[Solid] = []
    x = -RADIUS
    while x < RADIUS:
        long, deep, high = float(rng.uniform(5, 14)), float(rng.uniform(4, 8)), float(rng.uniform(3, 9))
        near = float(rng.uniform(7, 11))
        y = side * (near + deep / 2)
        base = ground.height(x + long / 2, side * near)
        solids.append(_block((long, deep, high + 2), (x + long / 2, y, base + high / 2 - 1)))
        for _ in range(int(rng.integers(0, 3))):  # Porches, bays and steps.
            w, h = float(rng.uniform(0.8, 2.5)), float(rng.uniform(0.8, 3.5))
            at = x + float(rng.uniform(0.1, 0.9)) * long
            solids.append(_block((w, float(rng.uniform(0.6, 2.0)), h), (at, side * near, base + h / 2)))
        x += long + (float(rng.uniform(1, 8)) if rng.random() < 0.6 else 0.0)
    return solids


def car(rng: np.random.Generator) -> list[Solid]:
    """Two boxes."""
    long, back = float(rng.uniform(3.5, 5.0)), float(rng.uniform(-0.6, 0.3))
    return [_block((long, 1.8, 0.75), (0, 0, 0.65)), _block((long * 0.55, 1.6, 0.6), (back, 0, 1.3))]


def pole(rng: np.random.Generator) -> list[Solid]:
    """A lamp or a sign."""
    high, wide = float(rng.uniform(2.5, 7)), float(rng.uniform(0.06, 0.15))
    top = _block((float(rng.uniform(0.2, 1.2)), 0.15, float(rng.uniform(0.15, 0.8))), (0.0, 0.0, high))
    return [cylinder().moved(np.diag([wide, wide, high / 2]), np.array([0, 0, high / 2])), top]


def tree(rng: np.random.Generator) -> list[Solid]:
    """A crown on a trunk."""
    high, wide = float(rng.uniform(2, 4)), float(rng.uniform(0.1, 0.25))
    crown = blob(rng, 20, 0.5).moved(np.eye(3) * rng.uniform(0.8, 1.8), np.array([0, 0, high + 0.8]))
    return [cylinder().moved(np.diag([wide, wide, high / 2]), np.array([0, 0, high / 2])), crown]


def bush(rng: np.random.Generator) -> list[Solid]:
    """Something round near the ground."""
    size = float(rng.uniform(0.4, 1.0))
    return [blob(rng, 16, 0.5).moved(np.eye(3) * size, np.array([0, 0, size * 0.7]))]
