"""Seconds and memory of the operations on clouds, against scipy and small_gicp where they have the same.

    python tests/benchmarks/point_clouds.py [--points 100000 300000 1000000] [--threads 1] [--precision float32]

The cloud is a room: floor, walls and spheres of even density with a noise of a tenth of the spacing. Every row is a
process of its own, so that its peak of memory (`ru_maxrss`) is its own; `before` is the peak when the cloud is ready,
libraries included, and `peak` that at the end. Seconds are of the processor (of all threads): others may use the
machine. Neighbourhoods have 20 points for neighbours and normals, and a radius of 5 spacings, 100 neighbours at most,
for FPFH; the voxel is 3 spacings. small_gicp works in float64.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.graph.points.normals import normals
from eqcli.graph.points.search import neighbour_blocks
from eqcli.graph.points.spacing import spacing
from eqcli.graph.points.voxels import voxel_means
from eqcli.models.pointcloud.fpfh import fpfh

NEIGHBOURS = 20


def room(n: int) -> NDArray[np.float64]:
    """`n` points on a floor, two walls and twelve spheres, about evenly, metres."""
    rng = np.random.default_rng(0)
    centres, radii = rng.uniform(1, 9, (12, 3)), rng.uniform(0.3, 0.9, 12)
    areas = np.array([100.0, 40.0, 40.0, *(4 * np.pi * radii**2)])
    which = rng.choice(len(areas), n, p=areas / areas.sum())
    u = rng.uniform(0, 1, (n, 2))
    flat = np.stack([10 * u[:, 0], np.where(which == 0, 10, 4) * u[:, 1], np.zeros(n)], 1)
    points = np.select(
        [(which == 0)[:, None], (which == 1)[:, None]], [flat, flat[:, [0, 2, 1]]], default=flat[:, [2, 0, 1]]
    )
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    ball = which >= 3
    points[ball] = (centres[which[ball] - 3].T + radii[which[ball] - 3] * direction[ball].T).T
    step = float(np.sqrt(areas.sum() / n))
    noisy: NDArray[np.float64] = points + 0.1 * step * rng.normal(size=(n, 3))
    return noisy


def run_normals(points: torch.Tensor, _: float) -> None:
    normals(points, k=NEIGHBOURS, orientation="none")


def run_oriented(points: torch.Tensor, _: float) -> None:
    normals(points, k=NEIGHBOURS)


def run_voxels(points: torch.Tensor, step: float) -> None:
    voxel_means(points, 3 * step)


def run_neighbours(points: torch.Tensor, _: float) -> None:
    for _block in neighbour_blocks(points, NEIGHBOURS):
        pass


def run_histograms(points: torch.Tensor, step: float) -> None:
    # The signs of the normals do not change the work.
    fpfh(points, normals(points, k=NEIGHBOURS, orientation="none").vectors, 5 * step)


def run_scipy_tree(points: torch.Tensor, _: float) -> None:
    x = points.double().numpy()
    cKDTree(x).query(x, k=NEIGHBOURS, workers=torch.get_num_threads())


def _gicp_cloud(points: torch.Tensor) -> Any:
    import small_gicp

    return small_gicp, small_gicp.PointCloud(points.double().numpy())


def run_gicp_voxels(points: torch.Tensor, step: float) -> None:
    small_gicp, cloud = _gicp_cloud(points)
    small_gicp.voxelgrid_sampling(cloud, 3 * step, num_threads=torch.get_num_threads())


def run_gicp_normals(points: torch.Tensor, _: float) -> None:
    small_gicp, cloud = _gicp_cloud(points)
    small_gicp.estimate_normals(cloud, num_neighbors=NEIGHBOURS, num_threads=torch.get_num_threads())


OPERATIONS: dict[str, Callable[[torch.Tensor, float], None]] = {
    "voxel grid": run_voxels,
    "voxel grid, small_gicp": run_gicp_voxels,
    "20 neighbours": run_neighbours,
    "20 neighbours, scipy": run_scipy_tree,
    "normals": run_normals,
    "normals, small_gicp": run_gicp_normals,
    "normals with signs": run_oriented,
    "normals and FPFH": run_histograms,
}


def peak() -> float:
    """The largest resident memory so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(operation: str, n: int, threads: int, precision: str) -> dict[str, float]:
    """One operation on one cloud, in this process."""
    torch.set_num_threads(threads)
    points = torch.from_numpy(room(n)).to(getattr(torch, precision))
    step = spacing(points)
    before, begun, clock = peak(), time.process_time(), time.perf_counter()
    OPERATIONS[operation](points, step)
    return {
        "seconds": time.process_time() - begun,
        "wall": time.perf_counter() - clock,
        "before": before,
        "peak": peak(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    parser.add_argument("--only", choices=list(OPERATIONS), nargs="+", default=list(OPERATIONS))
    parser.add_argument("--alone", action="store_true", help="one operation on one cloud, as JSON")
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(measure(given.only[0], given.points[0], given.threads, given.precision)))
        return
    print("| operation | points | seconds | wall | before, GB | peak, GB |\n|---|---|---|---|---|---|", flush=True)
    for operation in given.only:
        for n in given.points:
            command = [sys.executable, __file__, "--alone", "--only", operation, "--points", str(n)]
            command += ["--threads", str(given.threads), "--precision", given.precision]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row = " | ".join(f"{found[key]:.2f}" for key in ("seconds", "wall", "before", "peak"))
            print(f"| {operation} | {n} | {row} |", flush=True)


if __name__ == "__main__":
    main()
