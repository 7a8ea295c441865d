"""Many clouds in one frame: the reliable pairs of a run as a graph, its poses, and the merged cloud."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import Failure, InputError, Where
from eqcli.files import atomic_path, file_stem, write_json
from eqcli.names import did_you_mean
from eqcli.tasks.register_rows import PairRecord, stems_of

if TYPE_CHECKING:
    from eqcli.data.cloud_pairs import CloudPair
    from eqcli.models.pointcloud.pose_graph import Edge, PoseGraph

POSES_TEXT, POSES = "poses.txt", "poses.json"

FLOOR = 0.2
"""Voxels by which a motion may be off beside its covariance, which knows of noise and not of how surfaces are cut."""


@dataclass(frozen=True)
class Nodes:
    """The clouds of a list of pairs, each once, by name."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, pairs: Sequence[CloudPair]) -> Nodes:
        """In the order in which they first appear; names are those of the files, with folders where these repeat."""
        paths = tuple(dict.fromkeys(path.resolve() for pair in pairs for path in (pair.source, pair.target)))
        return cls(tuple(stems_of(_short_names(paths))), paths)

    def number(self, name: str) -> int:
        """The cloud of a name or a file. Raises InputError for one that is in no pair."""
        for k, (own, path) in enumerate(zip(self.names, self.paths, strict=True)):
            if name in (own, path.name, str(path)) or Path(name).resolve() == path:
                return k
        hint = did_you_mean(name, self.names, "clouds")
        raise InputError(f"--reference {name}: there is no such cloud in the pairs", hint=hint)


@dataclass
class PosesResult:
    """Clouds in one frame.

    Attributes
    ----------
    clouds, reached
        How many there are, and how many lie in the frame of the reference.
    pairs, rejected
        Reliable pairs, and those that do not fit the others: name, degrees and length by which they are off.
    failures
        The clouds that are not reached.
    """

    reference: str
    clouds: int
    reached: int
    pairs: int
    rejected: list[tuple[str, float, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    poses: Path | None = None
    merged: Path | None = None
    points: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        rejected = [{"name": n, "rotation": turn, "translation": shift} for n, turn, shift in self.rejected]
        plain = {name: getattr(self, name) for name in ("reference", "clouds", "reached", "pairs", "points")}
        files = {name: str(path) if path else None for name, path in (("poses", self.poses), ("merged", self.merged))}
        return plain | files | {"rejected": rejected}

    def summary(self) -> list[tuple[str, str]]:
        """The result for people."""
        rows = [("one frame", f"{self.reached} of {self.clouds} clouds in the frame of {self.reference}")]
        if self.rejected:
            worst = "\n".join(
                f"{name}: off by {turn:.2f} degrees and {shift:.3g}" for name, turn, shift in self.rejected
            )
            rows.append(("pairs that do not fit", worst))
        rows.append(("poses", str(self.poses)))
        if self.merged:
            rows.append(("merged", f"{self.merged}, {self.points} points"))
        return rows


def place_clouds(
    nodes: Nodes, records: Sequence[PairRecord], folder: Path, reference: int | None, provenance: dict[str, Any]
) -> tuple[PosesResult, PoseGraph]:
    """Poses of all clouds that reliable pairs lead to, written to `poses.txt` and `poses.json`.

    `reference` is the cloud whose frame is that of all; None takes the one with most pairs among those that are
    connected most. Raises InputError where the pairs are in different units.
    """
    from eqcli.models.pointcloud.pose_graph import fit_poses

    reliable = [record for record in records if record.row.status == "ok" and record.result.get("covariance")]
    units = {record.result.get("units") for record in reliable}
    if len(units) > 1:
        told = " and ".join(sorted(str(unit) for unit in units))
        raise InputError(f"the pairs are in different units ({told}), and one frame has one", hint="Convert the files.")
    place = {path: k for k, path in enumerate(nodes.paths)}
    edges = [_edge(record, place) for record in reliable]
    chosen = _central(len(nodes.paths), edges) if reference is None else reference
    graph = fit_poses(len(nodes.paths), edges, chosen)
    result = PosesResult(nodes.names[chosen], len(nodes.paths), int(graph.reached.sum()), len(edges))
    result.rejected = [
        (record.row.name, *_off(record, graph.misfit[k]))
        for k, record in enumerate(reliable)
        if not graph.fits[k] and np.isfinite(graph.squared[k])
    ]
    tied = {k for edge in edges for k in (edge.source, edge.target)}
    result.failures = [
        Failure(nodes.names[k], _why(k in tied), Where(nodes.paths[k])) for k in np.flatnonzero(~graph.reached)
    ]
    result.poses = folder / POSES
    write_json(result.poses, _facts(nodes, reliable, edges, graph, result) | {"provenance": provenance})
    _write_text(folder / POSES_TEXT, nodes, graph, result.reference)
    return result, graph


def _edge(record: PairRecord, place: dict[Path, int]) -> Edge:
    from eqcli.models.pointcloud.pose_graph import Edge
    from eqcli.models.pointcloud.rigid_algebra import about

    row, middle = record.row, record.result["deviations"]
    shift = FLOOR * (row.voxel or 0.0)
    turn = shift / max(middle["radius"], shift, 1e-300)
    floor = about(np.diag([shift**2] * 3 + [turn**2] * 3), np.array(middle["about"]))
    return Edge(
        place[Path(row.source).resolve()],
        place[Path(row.target).resolve()],
        np.array(record.result["motion"]["matrix"]),
        np.array(record.result["covariance"]) + floor,
        max(row.inliers or 0, 1) * max(row.overlap or 0.0, 0.01),
    )


def _central(count: int, edges: Sequence[Edge]) -> int:
    from eqcli.models.pointcloud.pose_tree import components

    part = components(count, edges)
    degree = np.bincount([k for edge in edges for k in (edge.source, edge.target)], minlength=count)
    sizes = Counter(part.tolist())
    return max(range(count), key=lambda k: (sizes[int(part[k])], degree[k], -k))


def _off(record: PairRecord, misfit: Any) -> tuple[float, float]:
    """Degrees, and the length at the middle of the overlap, by which a pair is off."""
    shift = misfit[:3] + np.cross(misfit[3:], record.result["deviations"]["about"])
    return math.degrees(float(np.linalg.norm(misfit[3:]))), float(np.linalg.norm(shift))


def _why(tied: bool) -> str:
    return "no reliable pair that fits the others leads to the reference" if tied else "it has no reliable pair"


def _facts(
    nodes: Nodes, records: Sequence[PairRecord], edges: Sequence[Edge], graph: PoseGraph, result: PosesResult
) -> dict[str, Any]:
    clouds: list[dict[str, Any]] = []
    for k, (name, path) in enumerate(zip(nodes.names, nodes.paths, strict=True)):
        known: dict[str, Any] = {"name": name, "file": str(path), "reached": bool(graph.reached[k])}
        if graph.reached[k]:
            known["matrix"] = graph.poses[k].tolist()
            known["translation_deviations"] = graph.deviations[k, :3].tolist()
            known["rotation_deviations"] = np.degrees(graph.deviations[k, 3:]).tolist()
        clouds.append(known)
    pairs: list[dict[str, Any]] = []
    for k, (record, edge) in enumerate(zip(records, edges, strict=True)):
        ends = {"name": record.row.name, "source": nodes.names[edge.source], "target": nodes.names[edge.target]}
        seen = bool(np.isfinite(graph.squared[k]))
        turn, shift = _off(record, graph.misfit[k]) if seen else (None, None)
        squared = float(graph.squared[k]) if seen else None
        pairs.append(ends | {"fits": bool(graph.fits[k]), "rotation": turn, "translation": shift, "squared": squared})
    return {"reference": result.reference, "clouds": clouds, "pairs": pairs}


def _write_text(path: Path, nodes: Nodes, graph: PoseGraph, reference: str) -> None:
    """A line for each cloud that is reached: its name and the first three rows of its matrix."""
    lines = [f"# name, then 3 x 4 numbers row by row: the cloud in the frame of {reference}"]
    for k in np.flatnonzero(graph.reached):
        lines.append(" ".join([nodes.names[k], *(f"{value:.17g}" for value in graph.poses[k, :3].ravel())]))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The names of files without endings, with as many folders before them as tell them apart."""
    bare = [path.with_suffix("").with_suffix("") if path.suffix == ".gz" else path.with_suffix("") for path in paths]
    depth = dict.fromkeys(bare, 1)
    for _ in range(max((len(path.parts) for path in bare), default=0)):
        names = {path: file_stem("-".join(path.parts[-depth[path] :])) for path in bare}
        counts = Counter(names[path] for path in bare)
        again = [path for path in bare if counts[names[path]] > 1 and depth[path] < len(path.parts)]
        if not again:
            break
        for path in set(again):
            depth[path] += 1
    return [names[path] for path in bare]
