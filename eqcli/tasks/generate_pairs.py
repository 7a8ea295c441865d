"""Writes pairs of partial clouds with known motions: tests and benchmarks that need no dataset."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import EqcliError, ExitCode, Failure, InputError
from eqcli.files import atomic_path, require_file, sha256, write_json
from eqcli.progress import Reporter, Silent
from eqcli.tasks.generate_pairs_request import SETTINGS, WRITTEN, check
from eqcli.tasks.generate_pairs_request import PairGeneration as PairGeneration

if TYPE_CHECKING:
    from eqcli.data.pair_generation import DrawnPair, PairSource

COLUMNS = ("name", "source", "target", "transform", "overlap", "scene", "symmetry", "voxel")


@dataclass(frozen=True)
class GeneratedPairs:
    """What a generation wrote: the folder, which `find_pairs` reads, the overlaps, and what could not be used."""

    output: Path
    overlaps: tuple[float, ...]
    kinds: tuple[str, ...]
    failures: list[Failure]

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def overlap_figures(self) -> dict[str, float]:
        """The least, median and largest overlap."""
        every = np.array(self.overlaps)
        return {"least": float(every.min()), "median": float(np.median(every)), "largest": float(every.max())}

    def counted_kinds(self) -> dict[str, int]:
        """How many pairs there are of each kind, the most first."""
        return dict(Counter(self.kinds).most_common())

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "pairs": len(self.overlaps),
            "overlap": self.overlap_figures(),
            "overlaps": list(self.overlaps),
            "kinds": self.counted_kinds(),
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        overlap = self.overlap_figures()
        words = f"{overlap['least']:.2f} to {overlap['largest']:.2f}, median {overlap['median']:.2f}"
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.counted_kinds().items())
        return [
            ("pairs", f"{len(self.overlaps)} in {self.output}"),
            ("overlap", words),
            ("kinds", kinds),
        ]


def generate_pairs(request: PairGeneration, report: Reporter | None = None) -> GeneratedPairs:
    """Writes the pairs of a request: clouds, motions, symmetries, `pairs.json` with settings and, last, `pairs.csv`.

    The same request gives the same pairs. A file that cannot be used is a failure, and the others serve.

    Raises InputError where the request cannot be carried out.
    """
    from eqcli.data.cloud_pairs import TABLE
    from eqcli.data.pair_files import files_in
    from eqcli.engine.provenance import provenance

    report = report or Silent()
    check(request)
    files, failures = _usable(files_in(request.files))
    source = _source(request, files)
    _clear(request.output)
    rows: list[dict[str, Any]] = []
    report.start("pairs", request.count, "pairs")
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
    write_json(
        request.output / SETTINGS,
        {
            "format": 1,
            "settings": asdict(request) | {"files": [str(path) for path in request.files], "output": None},
            "files": [{"path": str(path), "sha256": sha256(path)} for path in files],
            "pairs": len(rows),
            "failures": [failure.as_dict() for failure in failures],
            "provenance": provenance(),
        },
    )
    _write_table(request.output / TABLE, rows)
    overlaps = tuple(float(row["overlap"]) for row in rows)
    return GeneratedPairs(request.output, overlaps, tuple(str(row["scene"]) for row in rows), failures)


def _clear(folder: Path) -> None:
    """Removes earlier pairs; the table first, since a folder without one is not whole."""
    from eqcli.data.cloud_pairs import TABLE

    for name in (TABLE, SETTINGS):
        (folder / name).unlink(missing_ok=True)
    for name, patterns in WRITTEN.items():
        for pattern in patterns:
            for path in (folder / name).glob(pattern):
                path.unlink()


def _usable(files: list[Path]) -> tuple[list[Path], list[Failure]]:
    """The files that can be read as clouds, and failures for the others. Raises InputError for one that is absent."""
    from eqcli.io.point_cloud import cleaned, read_cloud

    for path in files:
        require_file(path)
    usable: list[Path] = []
    failures: list[Failure] = []
    for path in files:
        try:
            cleaned(read_cloud(path, samples=1000))
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
