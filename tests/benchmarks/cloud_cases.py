"""Pairs of clouds for the benchmarks of registration: real ones, partial views of meshes, and unrelated ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqcli.io.point_cloud import read_cloud
from tests.engine.registration_case import halves, moved, scene, turn

FloatArray = NDArray[np.float64]

MESHES = ("cow", "teapot", "fandisk", "rocker-arm", "suzanne", "spot")

NOISE = 0.002
"""Of the points of a mesh, in extents."""

LIDAR_TRUTH = {
    "kitti 1-0": (
        (0.999995, -0.003062, -0.001414, 0.694084),
        (0.003058, 0.999991, -0.002899, 0.006016),
        (0.001423, 0.002894, 0.999995, 0.006578),
    ),
}


@dataclass(frozen=True)
class Case:
    """Two clouds; `truth` is None where nothing relates them."""

    name: str
    source: FloatArray
    target: FloatArray
    truth: FloatArray | None


def fragment(root: Path, number: int) -> FloatArray:
    return read_cloud(root / "fragments" / f"redkitchen_cloud_bin_{number}.ply").points


def fragment_truth(root: Path) -> FloatArray:
    """Fragment 4 onto fragment 0."""
    log = root / "fragments" / "benchmark_gt" / "3DMatch" / "7-scenes-redkitchen" / "gt.log"
    lines = log.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.split()[:2] == ["0", "4"])
    return np.array([[float(value) for value in line.split()] for line in lines[place + 1 : place + 5]])


def street(root: Path, number: int) -> FloatArray:
    """A scan of KITTI; the file has three numbers a point, not four."""
    path = root / "lidar" / "kitti_00" / f"00000{number}.bin"
    return np.fromfile(path, np.float32).reshape(-1, 3).astype(np.float64)


def car(root: Path, number: int) -> FloatArray:
    return read_cloud(root / "lidar" / "libpointmatcher" / f"car_cloud{number}.csv").points


def hall(root: Path, number: int) -> FloatArray:
    return read_cloud(root / "lidar" / "libpointmatcher" / f"cloud.0000{number}.vtk").points


def mesh(root: Path, name: str, seed: int, points: int = 20000) -> FloatArray:
    """A sample of the surface, its extent about 1."""
    cloud = read_cloud(root / "meshes" / f"{name}.obj.gz", samples=points, seed=seed).points
    return cloud / extent(read_cloud(root / "meshes" / f"{name}.obj.gz", samples=2000, seed=0).points)


def extent(points: FloatArray) -> float:
    return float(np.linalg.norm(np.quantile(points, 0.95, axis=0) - np.quantile(points, 0.05, axis=0)))


def views(root: Path, name: str, overlap: float, seed: int) -> Case:
    """Two parts of a mesh, sampled apart and with noise."""
    rng = np.random.default_rng(seed)
    pair = [mesh(root, name, 2 * seed + i) for i in (0, 1)]
    first, second = halves(pair[0], pair[1], overlap, seed)
    noise = [NOISE * rng.normal(size=part.shape) for part in (first, second)]
    return Case(f"{name} {overlap:.0%}", first + noise[0], second + noise[1], np.eye(4))


def start_of(case: Case, seed: int) -> FloatArray:
    """A random rigid motion for the source of a pair, far away."""
    return turn(seed, shift=2 * extent(case.source))


def turned(case: Case, seed: int) -> Case:
    """The same pair with the source anywhere."""
    start = start_of(case, seed)
    truth = None if case.truth is None else case.truth @ np.linalg.inv(start)
    return Case(case.name, moved(case.source, start), case.target, truth)


def related(root: Path, seed: int) -> Iterator[Case]:
    """Pairs that belong together, easy and hard."""
    for name in MESHES:
        for place, overlap in enumerate((0.3, 0.5, 0.7)):
            yield views(root, name, overlap, 10 * seed + place)
    yield Case("fragments 4-0", fragment(root, 4), fragment(root, 0), fragment_truth(root))
    for number in (0, 4):
        cloud = fragment(root, number)
        for place, overlap in enumerate((0.3, 0.4, 0.5)):
            first, second = halves(cloud[::2], cloud[1::2], overlap, 10 * seed + place)
            yield Case(f"fragment {number} {overlap:.0%}", first, second, np.eye(4))
    for place, overlap in enumerate((0.3, 0.5, 0.7)):
        pair = [scene(20 * seed + place, points=30000, sample=i) for i in (0, 1)]
        yield Case(f"room {overlap:.0%}", *halves(pair[0], pair[1], overlap, seed), np.eye(4))
    truth = np.vstack([LIDAR_TRUTH["kitti 1-0"], [0.0, 0.0, 0.0, 1.0]])
    yield Case("kitti 1-0", street(root, 1), street(root, 0), truth)
    yield Case("kitti 1-0 parts", *halves(street(root, 1), street(root, 0), 0.7, seed), truth)


def unrelated(root: Path, seed: int) -> Iterator[Case]:
    """Pairs that nothing relates, of like extent."""
    yield from _other_meshes(root, seed)
    for number in (0, 4):
        cloud = fragment(root, number)
        size = extent(cloud)
        for name, scan in (("kitti", street(root, 0)), ("car", car(root, 400))):
            yield Case(f"{name} - fragment {number}", scan / extent(scan) * size, cloud, None)
        yield Case(f"room - fragment {number}", scene(30 * seed + number, points=40000), cloud, None)
        low = cloud @ np.random.default_rng(seed).normal(size=3)
        parts = cloud[low < np.quantile(low, 0.45)], cloud[low > np.quantile(low, 0.55)]
        yield Case(f"fragment {number}, parts that do not touch", *parts, None)
    for place in range(4):
        rooms = [scene(100 + 20 * seed + 2 * place + i, points=30000) for i in (0, 1)]
        yield Case(f"room - room {place}", rooms[0], rooms[1], None)
    yield Case("car - kitti", car(root, 400), street(root, 0), None)
    yield Case("hall - kitti", hall(root, 2), street(root, 0), None)
    rng = np.random.default_rng(seed)
    ball, cube, flat = rng.normal(size=(20000, 3)), rng.random((20000, 3)), rng.random((20000, 3)) * [1, 1, 0.002]
    for name, noise in (("ball", ball), ("cube", cube), ("plane", flat)):
        yield Case(f"{name} of noise - cow", noise / extent(noise), mesh(root, "cow", 1), None)
        yield Case(f"{name} of noise - fragment 0", noise / extent(noise) * 2.5, fragment(root, 0), None)


def _other_meshes(root: Path, seed: int) -> Iterator[Case]:
    """Each mesh with each other, whole or in part."""
    for first, name in enumerate(MESHES):
        for other in MESHES[first + 1 :]:
            pair = [mesh(root, name, seed), mesh(root, other, seed)]
            part = halves(pair[0], pair[1], 0.5, seed + first) if (first + seed) % 2 else tuple(pair)
            yield Case(f"{name} - {other}", part[0], part[1], None)
