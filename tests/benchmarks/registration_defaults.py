"""The default registration from random rotations, against KISS-Matcher with generalised ICP in the same run.

    python tests/benchmarks/registration_defaults.py FOLDER [--turns 20] [--only kitti] [--dense 300000]

FOLDER is that of the registration data. Each pair runs in a process of its own; memory is the peak of that process,
the clouds and the libraries included. The truth of the fragments is published; that of KITTI is
a refinement that agrees with those from three other starts within 0.006 degrees and 4 mm; that of the car and the
hall is the first result itself, so that their errors are consistency. Both kinds of LiDAR truth come from generalised
ICP, which the compared methods use as well. `seconds` are medians of wall and of processor time on one thread.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from eqcli.engine.kiss_peer import kiss_register
from eqcli.engine.refine_gicp import refine
from eqcli.engine.registration import register_clouds
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.spacing import automatic_voxel
from eqcli.graph.points.voxels import voxel_means
from tests.benchmarks.cloud_cases import (
    LIDAR_TRUTH,
    MESHES,
    Case,
    FloatArray,
    car,
    fragment,
    fragment_truth,
    hall,
    mesh,
    start_of,
    street,
    turned,
    views,
)
from tests.engine.registration_case import errors

LIMITS = {"fragments": (5.0, 0.2), "kitti": (1.0, 0.3), "car": (1.0, 0.3), "hall": (1.0, 0.3)}
"""Degrees and metres; meshes have 1 degree alone."""

Method = Callable[[FloatArray, FloatArray], tuple[FloatArray, bool]]

HEADER = [
    "| pair | method | right | believed | worst degrees | worst shift | seconds | of processor | peak GB |",
    "|---|---|---|---|---|---|---|---|---|",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--only", default="", help="pairs whose name has this")
    parser.add_argument("--dense", type=int, default=0, help="sample a mesh to so many points twice, in place of all")
    options = parser.parse_args()
    print("\n".join(HEADER), flush=True)
    names = ["dense"] if options.dense else [name for name in PAIRS if options.only in name]
    for name in names:
        for method in METHODS:
            # A process of its own, so that its peak of memory is that of this pair and method.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.apply(line, (options.folder, name, method, options.turns, options.dense)), flush=True)


def line(folder: Path, name: str, method: str, turns: int, dense: int) -> str:
    """One row of the table."""
    torch.set_num_threads(1)
    case = _dense(folder, dense) if dense else PAIRS[name](folder)
    truth, found = case.truth, []
    for seed in range(turns):
        one = turned(case, 1000 + seed)
        wall, cpu = time.perf_counter(), time.process_time()
        motion, believed = METHODS[method](one.source, one.target)
        times = time.perf_counter() - wall, time.process_time() - cpu
        # Back in the frame in which the source was given.
        motion = motion @ start_of(case, 1000 + seed)
        truth = motion if truth is None else truth
        found.append((*errors(motion, truth, case.source), believed, *times))
    degrees, shift = LIMITS.get(name.split()[0], (1.0, np.inf))
    right = sum(f[0] < degrees and f[1] < shift for f in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = (statistics.median(f[i] for f in found) for i in (3, 4))
    believed = sum(f[2] for f in found)
    return (
        f"| {name} | {method} | {right}/{turns} | {believed}/{turns} | {max(f[0] for f in found):.3f} | "
        f"{max(f[1] for f in found):.3f} | {wall:.1f} | {cpu:.1f} | {peak:.2f} |"
    )


def _default(source: FloatArray, target: FloatArray) -> tuple[FloatArray, bool]:
    found = register_clouds(source, target)
    return found.motion.matrix().numpy(), found.reliable


def _kiss(source: FloatArray, target: FloatArray) -> tuple[FloatArray, bool]:
    """KISS-Matcher and then generalised ICP, at the voxel of the default."""
    first, second = torch.from_numpy(source), torch.from_numpy(target)
    voxel = automatic_voxel(first, second)
    outcome = kiss_register(source, target, voxel)
    thin = [voxel_means(cloud, voxel / 2, frame=principal_frame(cloud)).points.numpy() for cloud in (first, second)]
    motion = refine(thin[0], thin[1], outcome.motion, distance=2 * voxel).motion
    return refine(thin[0], thin[1], motion, distance=voxel).motion.matrix().numpy(), True


METHODS: dict[str, Method] = {"default": _default, "kiss-matcher": _kiss}

TRUTH = np.vstack([LIDAR_TRUTH["kitti 1-0"], [0.0, 0.0, 0.0, 1.0]])

PAIRS: dict[str, Callable[[Path], Case]] = {
    "fragments 4-0": lambda root: Case("fragments", fragment(root, 4), fragment(root, 0), fragment_truth(root)),
    "kitti 1-0": lambda root: Case("kitti", street(root, 1), street(root, 0), TRUTH),
    "car 401-400": lambda root: Case("car", car(root, 401), car(root, 400), None),
    "hall 1-0": lambda root: Case("hall", hall(root, 1), hall(root, 0), None),
    "hall 2-0": lambda root: Case("hall", hall(root, 2), hall(root, 0), None),
    "hall 2-1": lambda root: Case("hall", hall(root, 2), hall(root, 1), None),
    **{f"{name} 50%": (lambda root, name=name: views(root, name, 0.5, 7)) for name in MESHES},
}


def _dense(root: Path, points: int) -> Case:
    return Case("dense", mesh(root, "cow", 1, points), mesh(root, "cow", 2, points), np.eye(4))


if __name__ == "__main__":
    main()
