"""Bodies as those of animals: a trunk with limbs, neck, head, tail and ears, all blended into one smooth surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqcli.data.pair_shapes import Shape
from eqcli.data.pair_solids import Floats

CLOSE = 0.002
"""Distance to the blended surface, for a body about two units long, at which a point lies on it."""

STEPS = 5
"""Newton steps that bring points from the separate limbs onto the blended surface."""


@dataclass(frozen=True)
class Limbs:
    """Straight limbs: `start` and `end` [K, 3] with the radii `first` and `last` [K] there."""

    start: Floats
    end: Floats
    first: Floats
    last: Floats

    def field(self, points: Floats, blend: float) -> tuple[Floats, Floats]:
        """The blended distance [N] to the surface, negative inside, and its gradient [N, 3].

        The blend is the smooth minimum -blend log sum exp(-d/blend) of the distances to the limbs.
        """
        axis = self.end - self.start
        along = ((points @ axis.T - (self.start * axis).sum(-1)) / (axis**2).sum(-1)).clip(0, 1)  # [N, K]
        off = points[:, None] - (self.start + along[..., None] * axis)  # [N, K, 3]
        length = np.sqrt(np.einsum("nkd,nkd->nk", off, off)) + 1e-9
        distance = length - (self.first + along * (self.last - self.first))
        least = distance.min(-1, keepdims=True)
        weight = np.exp((least - distance) / blend)
        total = weight.sum(-1, keepdims=True)
        gradient = np.einsum("nk,nkd->nd", weight / total / length, off)
        return (least - blend * np.log(total))[:, 0], gradient

    def surface(self, count: int, rng: np.random.Generator) -> tuple[Floats, float]:
        """Points evenly spread on each limb, round ends included, and the area of all of them."""
        axis = self.end - self.start
        length = np.linalg.norm(axis, axis=-1)
        side, ends = np.pi * (self.first + self.last) * length, 2 * np.pi * np.stack([self.first**2, self.last**2])
        areas = np.concatenate([side, *ends])
        part = rng.choice(len(areas), count, p=areas / areas.sum())
        kind, limb = np.divmod(part, len(length))
        direction = rng.normal(size=(count, 3))
        unit = axis[limb] / length[limb, None]
        across = direction - (direction * unit).sum(-1, keepdims=True) * unit
        outward = np.where((kind == 0)[:, None], across, direction)
        outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
        # The outer half of either end.
        sign = np.where(kind == 1, -1.0, 1.0)[:, None] * np.sign((outward * unit).sum(-1, keepdims=True))
        outward = np.where((kind == 0)[:, None], outward, outward * sign)
        along = np.where(kind == 0, rng.random(count), (kind == 2).astype(float))
        radius = self.first[limb] + along * (self.last - self.first)[limb]
        return self.start[limb] + along[:, None] * axis[limb] + radius[:, None] * outward, float(areas.sum())


def body_shape(rng: np.random.Generator, count: int) -> Shape:
    """A body with a trunk, two or three pairs of limbs, and what else may grow on it."""
    limbs = random_limbs(rng)
    blend = float(rng.uniform(0.015, 0.07))
    points, area = limbs.surface(count, rng)
    value, gradient = limbs.field(points, blend)
    outside = value > -2.5 * blend  # What lies deeper is inside another limb; the rest is within reach of the blend.
    points, value, gradient = points[outside], value[outside], gradient[outside]
    for _ in range(STEPS):
        off = np.flatnonzero(np.abs(value) > CLOSE)
        points[off] -= (value[off] / np.maximum((gradient[off] ** 2).sum(-1), 0.05))[:, None] * gradient[off]
        value[off], gradient[off] = limbs.field(points[off], blend)
    size = np.linalg.norm(gradient, axis=-1)
    kept = (np.abs(value) < 5 * CLOSE) & (size > 0.1)
    share = float(outside.mean() * kept.mean())
    return Shape(points[kept], gradient[kept] / size[kept, None], area * share)


def random_limbs(rng: np.random.Generator) -> Limbs:
    """Limbs in mirrored pairs about the plane y = 0, in poses that are not mirrored."""
    pieces: list[tuple[Floats, Floats, float, float]] = []

    def chain(start: Floats, steps: list[Floats], radii: list[float]) -> Floats:
        for step, first, last in zip(steps, radii[:-1], radii[1:], strict=True):
            pieces.append((start, start + step, first, last))
            start = start + step
        return start

    thick, arch = rng.uniform(0.18, 0.38), rng.uniform(-0.15, 0.25)
    spine = np.array([[-0.8, 0, 0], [0, 0, arch], [0.8, 0, rng.uniform(-0.2, 0.3)]])
    girth = thick * rng.uniform(0.7, 1.2, 3)
    chain(spine[0], [spine[1] - spine[0], spine[2] - spine[1]], list(girth))
    rise = rng.uniform(0.2, 1.3)
    neck = np.array([np.cos(rise), rng.uniform(-0.4, 0.4), np.sin(rise)]) * rng.uniform(0.2, 0.7)
    top = chain(spine[2], [neck], [girth[2] * 0.8, girth[2] * rng.uniform(0.4, 0.8)])
    head, muzzle = girth[2] * rng.uniform(0.6, 1.1), np.array([1, rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.2)])
    chain(top, [muzzle * rng.uniform(0.1, 0.45)], [head, head * rng.uniform(0.35, 0.8)])
    for side in (-1.0, 1.0):
        if rng.random() < 0.8:  # Ears or horns.
            tip = np.array([rng.uniform(-0.3, 0.2), side * rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.2)]) * head
            chain(top + tip * 0.6, [tip * rng.uniform(0.4, 1.2)], [head * 0.25, head * 0.12])
    for place in np.linspace(-0.75, 0.75, int(rng.choice([1, 2, 2, 2, 3]))):
        long, wide = rng.uniform(0.4, 1.0), thick * rng.uniform(0.25, 0.5)
        for side in (-1.0, 1.0):
            root = np.array([place, side * thick * 0.6, -0.1])
            steps = [np.array([rng.normal() * 0.3, side * rng.uniform(0, 0.4), -1]) * long / 2 for _ in range(2)]
            foot = chain(root, steps, [wide, wide * 0.8, wide * 0.6])
            chain(foot, [np.array([rng.uniform(0.1, 0.25), 0, 0])], [wide * 0.6, wide * 0.45])
    if rng.random() < 0.8:
        steps = [np.array([-0.3, rng.normal() * 0.15, rng.normal() * 0.2]) for _ in range(int(rng.integers(1, 4)))]
        chain(spine[0], steps, list(np.linspace(girth[0] * 0.4, girth[0] * 0.1, len(steps) + 1)))
    start, end, first, last = zip(*pieces, strict=True)
    return Limbs(np.array(start), np.array(end), np.array(first), np.array(last))
