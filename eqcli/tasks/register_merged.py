"""All clouds of one frame as a single cloud, thinned to a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.progress import Reporter

if TYPE_CHECKING:
    from eqcli.io.point_cloud import PointCloud
    from eqcli.models.pointcloud.pose_graph import PoseGraph
    from eqcli.tasks.register_poses import Nodes, PosesResult
    from eqcli.tasks.register_request import RegisterRequest
    from eqcli.tasks.register_rows import PairRecord


def merge(
    output: Path,
    options: RegisterRequest,
    nodes: Nodes,
    graph: PoseGraph,
    records: Sequence[PairRecord],
    result: PosesResult,
    report: Reporter,
) -> None:
    """Writes the clouds that are reached, in the frame of the reference, with one point for each voxel.

    The voxel is the median of those that the pairs were registered with, or the one asked for. Colours, normals and
    intensities are kept where every cloud has them. Nothing is written where no pair is reliable.
    """
    from eqcli.io.point_cloud import write_cloud

    sizes = [record.row.voxel for record in records if record.row.status == "ok" and record.row.voxel]
    if not sizes:
        report.warning(f"no pair is reliable, so there is nothing to merge: {output} was not written")
        return
    voxel, units = options.voxel or float(np.median(sizes)), _units(records)
    whole: PointCloud | None = None
    numbers = np.flatnonzero(graph.reached)
    report.start("merge", len(numbers), "clouds")
    for k in numbers:
        placed = thinned(_read(nodes.paths[k], units, options).moved(graph.poses[k]), voxel)
        whole = placed if whole is None else thinned(joined(whole, placed), voxel)
        report.advance()
    report.finish()
    assert whole is not None
    write_cloud(whole, output)
    result.merged, result.points = output, len(whole)


def _units(records: Sequence[PairRecord]) -> str | None:
    return next((record.result["units"] for record in records if record.row.status == "ok"), None)


def _read(path: Path, units: str | None, options: RegisterRequest) -> PointCloud:
    from eqcli.io.cloud_units import in_units
    from eqcli.io.point_cloud import cleaned, read_cloud

    cloud = cleaned(read_cloud(path, samples=options.samples, seed=options.seed))
    return in_units(cloud, cloud.units, units) if units and cloud.units and cloud.units != units else cloud


def joined(first: PointCloud, second: PointCloud) -> PointCloud:
    """Both clouds as one, with what both have."""
    from eqcli.io.point_cloud import PointCloud

    columns: dict[str, Any] = {}
    for name in ("normals", "colours", "intensity"):
        one, other = getattr(first, name), getattr(second, name)
        if one is not None and other is not None:
            columns[name] = np.concatenate([one, other])
    return PointCloud(np.concatenate([first.points, second.points]), units=first.units, name="merged", **columns)


def thinned(cloud: PointCloud, voxel: float) -> PointCloud:
    """One point for each voxel of edge `voxel`: means of positions, colours and intensities, and mean directions."""
    import torch

    from eqcli.graph.points.voxels import voxel_means
    from eqcli.io.point_cloud import PointCloud

    cut = voxel_means(torch.from_numpy(cloud.points), voxel)
    member, counts = cut.member.numpy(), cut.counts.numpy()

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        columns = values.reshape(len(values), -1).T
        sums = [np.bincount(member, weights=column, minlength=len(counts)) for column in columns]
        return np.asarray(np.stack(sums, axis=1) / counts[:, None])

    columns: dict[str, Any] = {}
    if cloud.normals is not None:
        normals = mean(cloud.normals)
        columns["normals"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    if cloud.colours is not None:
        columns["colours"] = np.rint(mean(cloud.colours)).astype(np.uint8)
    if cloud.intensity is not None:
        columns["intensity"] = mean(cloud.intensity)[:, 0].astype(np.float32)
    return PointCloud(cut.points.numpy(), units=cloud.units, name=cloud.name, **columns)
