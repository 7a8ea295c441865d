"""Writes pairs of partial clouds with known motions: tests and benchmarks that need no dataset."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.files import atomic_path, refuse_unwritable_folder, require_file, write_json
from eqcli.progress import Reporter, Silent

if TYPE_CHECKING:
    from eqcli.data.pair_generation import DrawnPair, PairSource

COLUMNS = ("name", "source", "target", "transform", "overlap", "scene", "symmetry", "voxel")

FORMATS = (".ply", ".npy", ".pcd", ".xyz")
"""Endings of the clouds that are written."""


@dataclass(frozen=True)
class PairGeneration:
    """What is asked of a generation of pairs.

    Attributes
    ----------
    output
        Folder to write; it must be absent or empty, unless `overwrite`.
    count
        Pairs.
    files
        Clouds and meshes to make pairs from; none for shapes that the program makes itself.
    overlap, views, kinds, density, noise, outliers, rotation, voxels
        As in `eqcli.data.pair_generation.PairSource`; `kinds` is not used with `files`.
    voxel
        Edge of the voxel in the clouds of procedural shapes; None for the unit of each shape, metres for scenes. Pairs
        from files stay in the unit of the file.
    """

    output: Path
    count: int = 20
    files: tuple[Path, ...] = ()
    overlap: tuple[float, float] = (0.1, 0.3)
    views: Mapping[str, float] = field(default_factory=lambda: {"crop": 0.5, "sight": 0.5})
    kinds: Mapping[str, float] = field(default_factory=lambda: {"object": 0.7, "scene": 0.2, "outdoor": 0.1})
    density: tuple[float, float] = (1.5, 5.0)
    noise: tuple[float, float] = (0.1, 0.3)
    outliers: float = 0.05
    rotation: float = 180.0
    voxels: tuple[int, int] = (2500, 5000)
    voxel: float | None = 0.025
    ending: str = ".ply"
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class GeneratedPairs:
    """What a generation wrote: the folder, which `find_pairs` reads, the overlaps, and what could not be used."""

    output: Path
    overlaps: tuple[float, ...]
    kinds: tuple[str, ...]
    failures: tuple[Failure, ...]


def generate_pairs(request: PairGeneration, report: Reporter | None = None) -> GeneratedPairs:
    """Writes the pairs of a request: clouds, motions, symmetries, `pairs.json` with settings and, last, `pairs.csv`.

    The same request gives the same pairs. A file that cannot be used is a failure, and the others serve.

    Raises InputError where the request cannot be carried out.
    """
    from eqcli.data.cloud_pairs import TABLE

    report = report or Silent()
    _check(request)
    files, failures = _usable(request.files)
    source = _source(request, files)
    (request.output / TABLE).unlink(missing_ok=True)  # A folder without its table is not yet whole.
    rows: list[dict[str, Any]] = []
    report.start("pairs", request.count)
    for number in range(request.count):
        try:
            # A turn of its own: each pair is made from a shape that no other has.
            drawn = source.draw(np.random.default_rng([request.seed, number]), number)
            rows.append(_written(request, number, drawn))
        except InputError as error:
            failures.append(Failure.of(f"pair {number + 1}", error))
        report.advance(1)
    report.finish()
    if not rows:
        raise InputError("no pair could be made", hint=failures[0].reason if failures else "")
    settings = asdict(request) | {"files": [str(path) for path in request.files], "output": None}
    write_json(request.output / "pairs.json", {"format": 1, "settings": settings})
    _write_table(request.output / TABLE, rows)
    overlaps = tuple(float(row["overlap"]) for row in rows)
    return GeneratedPairs(request.output, overlaps, tuple(str(row["scene"]) for row in rows), tuple(failures))


def _check(request: PairGeneration) -> None:
    if request.count < 1:
        raise InputError(f"the number of pairs is {request.count}, and must be at least 1")
    if not 0 < request.overlap[0] < request.overlap[1] < 1:
        low, high = request.overlap
        raise InputError(f"the overlap runs from {low} to {high}, and must rise between 0 and 1")
    if request.ending not in FORMATS:
        raise InputError(f"clouds are not written as '{request.ending}' here", hint=f"Expected {', '.join(FORMATS)}.")
    if request.output.is_dir() and any(request.output.iterdir()) and not request.overwrite:
        raise InputError("this folder is not empty", Where(request.output), "Name another one, or add --overwrite.")
    refuse_unwritable_folder(request.output)


def _usable(files: tuple[Path, ...]) -> tuple[list[Path], list[Failure]]:
    """The files that can be read as clouds, and failures for the others."""
    from eqcli.io.point_cloud import cleaned, read_cloud

    usable: list[Path] = []
    failures: list[Failure] = []
    for path in files:
        try:
            cleaned(read_cloud(require_file(path), samples=1000))
            usable.append(path)
        except EqcliError as error:
            failures.append(Failure.of(path.name, error))
    if files and not usable:
        raise InputError("none of the files can be read", failures[0].where, failures[0].reason)
    return usable, failures


def _source(request: PairGeneration, files: list[Path]) -> PairSource:
    from eqcli.data.pair_generation import PairSource

    return PairSource(
        kinds={"file": 1.0} if files else request.kinds,
        files=files,
        views=request.views,
        overlap=request.overlap,
        density=request.density,
        noise=request.noise,
        outliers=request.outliers,
        rotation=request.rotation,
        voxels=request.voxels,
        pool=1,
        uses=1,
        in_voxels=bool(request.voxel is not None and not files),
        seed=request.seed,
    )


def _written(request: PairGeneration, number: int, drawn: DrawnPair) -> dict[str, Any]:
    """Writes one pair; its row of the table."""
    from eqcli.io.point_cloud import PointCloud, write_cloud

    scale = request.voxel if request.voxel is not None and not request.files else 1.0
    name = f"{number + 1:0{len(str(request.count))}d}"
    row = {"name": name, "overlap": f"{drawn.overlap:.4f}", "scene": drawn.kind, "voxel": f"{drawn.voxel * scale:.9g}"}
    for side, points in (("source", drawn.source), ("target", drawn.target)):
        row[side] = f"clouds/{name}_{side}{request.ending}"
        path = request.output / row[side]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_cloud(PointCloud(points.astype(np.float64) * scale), path)
    motions = {"transform": drawn.truth[None], "symmetry": drawn.symmetries}
    for column, several in motions.items():
        if several is None:
            continue
        row[column] = f"motions/{name}_{column}.txt"
        scaled = several.copy()
        scaled[:, :3, 3] *= scale
        with atomic_path(request.output / row[column]) as temporary:
            np.savetxt(temporary, scaled.reshape(-1, 4), fmt="%.17g")
    return row


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
